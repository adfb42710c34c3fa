//! Latency of a single job on an idle system.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use futures_util::SinkExt as _;
use redis::{
    Commands as _,
    streams::{StreamReadOptions, StreamReadReply},
};

use uncloud_testkit::runner::{Action, Stage, nanos, queue_name};

use super::carrier;
use crate::report::{Report, percentile};

const SAMPLES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(2);

/// Returns the milliseconds from the push to the start of the handler.
fn worker(stage: &Stage) -> Vec<f64> {
    carrier::forget(stage);
    let _worker = stage.worker();
    let mut sink = carrier::sink(stage);
    let mut redis = stage.redis.connect();
    let events = queue_name().events_key();
    let mut times = Vec::new();
    for job in 0..SAMPLES {
        thread::sleep(PAUSE);
        let pushed = nanos();
        let task = carrier::task(i64::try_from(job).expect("small"), &Action::Stamp);
        stage.runtime.block_on(sink.send(task)).expect("pushed");
        let options = StreamReadOptions::default().block(10_000);
        let reply: StreamReadReply = redis.xread_options(&[&events], &["0"], &options).expect("an event");
        let event = &reply.keys[0].ids[0];
        let began: u64 =
            event.get::<String>("body").and_then(|text| text.parse().ok()).expect("the time at which it started");
        times.push(Duration::from_nanos(began.saturating_sub(pushed)).as_secs_f64() * 1000.0);
        let _: usize = redis.xdel(&events, &[&event.id]).expect("deleted");
    }
    times
}

/// Measures the same with two connections and nothing else.
fn bare(stage: &Stage) -> Vec<f64> {
    let (arrived_in, arrived) = mpsc::channel();
    let (mut reader, mut writer) = (stage.redis.connect(), stage.redis.connect());
    let _: () = reader.xgroup_create_mkstream("bare", "group", "0").expect("a group");
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..SAMPLES {
                let options = StreamReadOptions::default().group("group", "reader").block(10_000);
                let _: StreamReadReply = reader.xread_options(&["bare"], &[">"], &options).expect("an entry");
                arrived_in.send(Instant::now()).expect("the receiver is there");
            }
        });
        let mut times = Vec::new();
        for _ in 0..SAMPLES {
            thread::sleep(PAUSE);
            let pushed = Instant::now();
            let _: String = writer.xadd("bare", "*", &[("a", "b")]).expect("added");
            times.push((arrived.recv().expect("it arrives") - pushed).as_secs_f64() * 1000.0);
        }
        let _: () = writer.del("bare").expect("deleted");
        times
    })
}

pub(crate) fn push_to_start(stage: &Stage, report: &mut Report) {
    let (bare, ours) = (bare(stage), worker(stage));
    let note = format!("n = {SAMPLES}, one every 2 ms");
    for (percent, aim) in [(50, "<= 0.4 ms"), (99, "")] {
        let least = percentile(&bare, percent);
        report.add(
            &format!("bare_p{percent}_ms"),
            &format!("bare XADD -> XREADGROUP, p{percent}"),
            least,
            "ms",
            "",
            &note,
        );
        let time = percentile(&ours, percent);
        let times = format!("{:.1} x the bare one (aim 2)", time / least);
        report.add(
            &format!("push_to_start_p{percent}_ms"),
            &format!("push -> start, p{percent}"),
            time,
            "ms",
            aim,
            &times,
        );
    }
}
