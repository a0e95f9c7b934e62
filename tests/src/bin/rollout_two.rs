//! The second of two versions of one program: jobs name their pieces now.
use updraft::prelude::*;

/// What waits: these pieces.
#[updraft::data]
pub struct Job {
    /// Its name in [`Done`].
    pub name: String,
    /// Each piece.
    pub pieces: Vec<String>,
}

/// What a job was.
#[updraft::data]
pub struct FirstJob {
    /// Its name.
    pub name: String,
    /// How many pieces.
    pub count: u32,
}

impl From<FirstJob> for Job {
    fn from(first: FirstJob) -> Self {
        Job { name: first.name, pieces: (0..first.count).map(|piece| piece.to_string()).collect() }
    }
}

/// Jobs that wait.
#[queue(message = Job, accepts = [FirstJob])]
pub struct Jobs;

/// Where they are announced too.
#[topic(message = Job, accepts = [FirstJob])]
pub struct News;

/// Pieces done by each job's name.
#[store(key = String, value = u32)]
pub struct Done;

#[http(post, "/jobs", name = "rollout::send")]
async fn send(jobs: Queue<Jobs>, news: Topic<News>, Json(job): Json<Job>) -> Result<StatusCode> {
    jobs.send(&job).await?;
    news.publish(&job).await?;
    Ok(StatusCode::ACCEPTED)
}

#[http(get, "/done/{name}", name = "rollout::done")]
async fn done(Path(name): Path<String>, done: Store<Done, ReadOnly>) -> Result<Json<u32>> {
    Ok(Json(done.get(&name).await?.unwrap_or(0)))
}

#[consumer(Jobs, skew = "1h", name = "rollout::work")]
async fn work(job: Job, done: Store<Done>) -> Result<()> {
    done.update(&job.name, |pieces| pieces.unwrap_or(0) + job.pieces.len() as u32).await?;
    Ok(())
}

#[subscriber(News, name = "rollout::listen")]
async fn listen(job: Job, done: Store<Done>) -> Result<()> {
    done.update(&format!("heard-{}", job.name), |pieces| pieces.unwrap_or(0) + job.pieces.len() as u32).await?;
    Ok(())
}

updraft::main!();
