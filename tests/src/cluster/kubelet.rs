//! Starts a pod as the kubelet does: the emitted environment and nothing of ours, mounted files, another user, a folder that
//! can't be written to, no `HOME`.

use super::World;
use super::manifests::{Service, Volume};
use crate::servers::free_port;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whom containers run as.
const USER: u32 = 65_532;
const BINDING: &str = "/etc/updraft/binding.json";

/// Starts pods below a folder.
pub(super) struct Kubelet {
    root: PathBuf,
    program: PathBuf,
    world: World,
    config_maps: BTreeMap<String, BTreeMap<String, String>>,
    count: AtomicU32,
    privileged: bool,
}

/// A running pod. It is killed when dropped.
pub(super) struct Pod {
    child: Mutex<Child>,
    port: u16,
    log: PathBuf,
    grace: Duration,
}

impl Kubelet {
    pub(super) fn new(root: &Path, world: World, config_maps: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        // The image's layer: readable to the user that containers run as, wherever it was built.
        let program = root.join("program");
        fs::copy(&world.program, &program).unwrap_or_else(|error| panic!("{}: {error}", world.program.display()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o555)).expect("permissions");
        let privileged = File::open("/proc/self/status").is_ok() && is_root();
        Kubelet { root: root.to_owned(), program, world, config_maps, count: AtomicU32::new(0), privileged }
    }

    pub(super) fn start(&self, service: &Service) -> Pod {
        let name = format!("{}-{}", service.revision, self.count.fetch_add(1, Ordering::Relaxed));
        let root = self.root.join(&name);
        let work = root.join("work");
        create(&work);
        let container = service.pod.containers.first().expect("a container");
        for mount in &container.volume_mounts {
            let volume = service.pod.volumes.iter().find(|volume| volume.name == mount.name).expect("a volume");
            self.mount(volume, &below(&root, &mount.mount_path));
        }
        let port = free_port();
        let log = root.join("log");
        let output = File::create(&log).expect("a log");
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(&work).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a log")).stderr(output);
        command.env("HOSTNAME", &name).env("PORT", port.to_string());
        command
            .env("K_SERVICE", &service.name)
            .env("K_CONFIGURATION", &service.name)
            .env("K_REVISION", &service.revision);
        command.env("KUBERNETES_SERVICE_HOST", "10.96.0.1").env("KUBERNETES_SERVICE_PORT", "443");
        command.envs(&self.world.variables);
        for variable in &container.env {
            // A path that holds mounts is where they are here.
            let holds = |path: &str| {
                path.starts_with('/') && container.volume_mounts.iter().any(|mount| mount.mount_path.starts_with(path))
            };
            if holds(&variable.value) {
                command.env(&variable.name, below(&root, &variable.value));
            } else {
                command.env(&variable.name, &variable.value);
            }
        }
        command.env("UPDRAFT_BINDING", below(&root, BINDING));
        fs::set_permissions(&work, fs::Permissions::from_mode(0o555)).expect("permissions");
        if self.privileged {
            command.uid(USER).gid(USER);
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Pod { child: Mutex::new(child), port, log, grace: Duration::from_secs(service.pod.timeout_seconds) }
    }

    /// Files as the kubelet lays them out: behind a link that it swaps when they change.
    fn mount(&self, volume: &Volume, at: &Path) {
        let files = if let Some(source) = &volume.config_map {
            let files = self.config_maps.get(&source.name).unwrap_or_else(|| panic!("no ConfigMap {}", source.name));
            files.iter().map(|(name, text)| (name.clone(), self.resolve(text))).collect()
        } else if let Some(source) = &volume.secret {
            match self.world.secrets.get(&source.secret_name) {
                Some(secret) => {
                    source.items.iter().map(|item| (item.path.clone(), secret[&item.key].clone())).collect()
                }
                None if source.optional => BTreeMap::new(),
                None => panic!("no Secret {}: a pod would wait for it", source.secret_name),
            }
        } else {
            create(at);
            fs::set_permissions(at, fs::Permissions::from_mode(0o777)).expect("permissions");
            return;
        };
        create(&at.join("..2026"));
        symlink("..2026", at.join("..data")).expect("a link");
        for (name, text) in files {
            let file = at.join("..2026").join(&name);
            fs::write(&file, text).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("permissions");
            symlink(Path::new("..data").join(&name), at.join(&name)).expect("a link");
        }
    }

    /// Addresses for names, and the externals' stand-ins: what DNS and the outside do elsewhere.
    fn resolve(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (origin, here) in &self.world.origins {
            text = text
                .replace(&format!("{origin}/"), &format!("{here}/"))
                .replace(&format!("{origin}\""), &format!("{here}\""));
        }
        let Ok(mut binding) = serde_json::from_str::<serde_json::Value>(&text) else { return text };
        for (id, here) in &self.world.externals {
            let external = &mut binding["resources"]["external"][id];
            assert!(external.is_object(), "the binding has no external {id}: {text}");
            external["base_url"] = here.clone().into();
        }
        binding.to_string()
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"0"))
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn create(folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

/// Lets the user that containers run as look into a folder.
pub(super) fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permissions");
}

impl Pod {
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, if it has ended (`None` within: by a signal).
    pub(super) fn ended(&self) -> Option<Option<i32>> {
        let mut child = self.child.lock().expect("unpoisoned");
        child.try_wait().expect("a child").map(|status| status.code())
    }

    /// SIGKILL, as when its machine dies.
    pub(super) fn kill(&self) {
        let _ = self.child.lock().expect("unpoisoned").kill();
    }

    /// SIGTERM, then SIGKILL when the grace is over; the exit code.
    pub(super) async fn terminate(&self) -> Option<i32> {
        let id = self.child.lock().expect("unpoisoned").id().to_string();
        let signal = Command::new("kill").args(["-TERM", &id]).status();
        assert!(signal.is_ok(), "can't send a signal");
        let started = Instant::now();
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            if started.elapsed() > self.grace {
                self.kill();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
