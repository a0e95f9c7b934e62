//! The first of two versions of one program, for rollouts.
use updraft::prelude::*;

/// What waits: so many pieces.
#[updraft::data]
pub struct Job {
    /// Its name in [`Done`].
    pub name: String,
    /// How many pieces.
    pub count: u32,
}

/// Jobs that wait.
#[queue(message = Job)]
pub struct Jobs;

/// Where they are announced too.
#[topic(message = Job)]
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
    done.update(&job.name, |pieces| pieces.unwrap_or(0) + job.count).await?;
    Ok(())
}

#[subscriber(News, name = "rollout::listen")]
async fn listen(job: Job, done: Store<Done>) -> Result<()> {
    done.update(&format!("heard-{}", job.name), |pieces| pieces.unwrap_or(0) + job.count).await?;
    Ok(())
}

updraft::main!();
