//! How much time the tool takes beyond that of the broker and the kernel.
//!
//! ```text
//! cargo bench --bench floor                                       the embedded broker
//! cargo bench --bench floor -- --broker mqtt://127.0.0.1:1883     another one, which should have nothing else to do
//! ```
//!
//! The floor is the tool's own run, recorded by a proxy and replayed as bytes: the same connections in the same order,
//! over blocking sockets, by one thread, and nothing is judged. A recording ends with the tool's own clean-up, so it can
//! be replayed as often as needed. This prints ratios and asserts nothing, since time belongs to the machine.

#[path = "floor/recording.rs"]
mod recording;
#[path = "floor/replay.rs"]
mod replay;

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mqtt_sessions::broker::{Broker, EMBEDDED, Given};

const TOOL: &str = env!("CARGO_BIN_EXE_mqtt-sessions");
/// How often each of two that are compared runs, in turn.
const PAIRS: usize = 9;
/// As `PAIRS`, for the runs of a thousand and of ten thousand cells.
const LONG_PAIRS: usize = 3;
const CELLS: f64 = 144.0;
const WITHOUT_SETTLE: [&str; 2] = ["--settle", "0ms"];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The embedded broker stops when this is dropped.
    let broker = runtime.block_on(Broker::find(&broker_argument(), Given::default(), Duration::from_secs(5)))?;
    let Some(address) = broker.nodes[0].plain_tcp() else { bail!("{} is not reached by plain TCP", broker.url) };
    println!("{} against {}, medians\n", TOOL, broker.url);

    over_the_floor(address)?;
    long_backlog(address)?;
    many_cells(address)
}

fn broker_argument() -> String {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.windows(2).find(|pair| pair[0] == "--broker").map(|pair| pair[1].clone());
    given.unwrap_or_else(|| EMBEDDED.into())
}

/// Compares whole processes of the tool with replays of what one of them did.
fn over_the_floor(address: SocketAddr) -> Result<()> {
    // With the settle window: without it the tool goes on while messages are under way, and no two runs are alike.
    let recording = recording::record(address, |proxy| run(proxy, &[]).map(drop))?;
    println!("recorded: {}", recording.describe());
    // Once unmeasured, so that everything is in memory.
    let unlike = replay::replay(&recording, address)?;
    for place in &unlike {
        println!("warning: in the replay the broker did not answer as recorded: {place}");
    }
    run(address, &WITHOUT_SETTLE)?;

    let (mut floor, mut tool, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let started = Instant::now();
        replay::replay(&recording, address)?;
        floor.push(milliseconds(started.elapsed()));
        tool.push(milliseconds(run(address, &WITHOUT_SETTLE)?.took));
        settled.push(milliseconds(run(address, &[])?.took));
    }
    let (floor, tool, settled) = (median(floor), median(tool), median(settled));
    let over = tool - 2.0 * floor;
    println!("the floor                   {floor:8.1} ms");
    println!("the tool, --settle 0ms      {tool:8.1} ms   {:.2} x the floor", tool / floor);
    println!("  tool - 2 x floor          {over:8.1} ms   target: at most 20");
    println!("the tool, default settle    {settled:8.1} ms   target: at most 300\n");
    Ok(())
}

/// Compares one cell with ten thousand messages with a replay of its packets. The broker has to keep so many: mosquitto does with
/// `max_queued_messages 0`.
fn long_backlog(address: SocketAddr) -> Result<()> {
    const CELL: &str =
        "matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";
    let options = ["--messages", "10000", "--filter", CELL];
    let recording = recording::record(address, |proxy| run(proxy, &options).map(drop))?;
    let (mut replayed, mut tool) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let started = Instant::now();
        replay::replay(&recording, address)?;
        replayed.push(milliseconds(started.elapsed()));
        tool.push(milliseconds(run(address, &options)?.took));
    }
    let (replayed, tool) = (median(replayed), median(tool));
    println!("10,000 messages, replayed   {replayed:8.1} ms");
    println!("  the tool                  {tool:8.1} ms   {:.2} x, target: at most 1.5\n", tool / replayed);
    Ok(())
}

/// Compares the cost of a cell among a thousand with that among ten thousand.
fn many_cells(address: SocketAddr) -> Result<()> {
    let (mut thousand, mut ten_thousand, mut peak) = (Vec::new(), Vec::new(), None);
    for _ in 0..LONG_PAIRS {
        thousand.push(milliseconds(run(address, &["--repeat", "7"])?.took));
        let run = run(address, &["--repeat", "70"])?;
        ten_thousand.push(milliseconds(run.took));
        peak = peak.max(run.peak_kib);
    }
    let (thousand, ten_thousand) = (median(thousand) / (7.0 * CELLS), median(ten_thousand) / (70.0 * CELLS));
    println!("1,008 cells                 {thousand:8.3} ms a cell");
    println!(
        "10,080 cells                {ten_thousand:8.3} ms a cell   {:.2} x, target: at most 1.3",
        ten_thousand / thousand
    );
    match peak {
        Some(peak) => println!("  their peak memory         {:8.1} MB   target: under 120", peak as f64 / 1024.0),
        None => println!("  their peak memory is not known: there is no GNU time here"),
    }
    Ok(())
}

/// What one process of the tool took.
struct Taken {
    took: Duration,
    peak_kib: Option<u64>,
}

/// Runs `matrix` as a user would, from the start of the process to its end.
fn run(broker: SocketAddr, options: &[&str]) -> Result<Taken> {
    const TIME: &str = "/usr/bin/time";
    let report = std::env::temp_dir().join(format!("mqtt-sessions-floor-{}", std::process::id()));
    let mut command = if fs::exists(TIME)? {
        let mut time = Command::new(TIME);
        time.args(["--quiet", "--format", "%M", "--output"]).arg(&report).arg(TOOL);
        time
    } else {
        Command::new(TOOL)
    };
    command.args(["matrix", "--broker", &format!("mqtt://{broker}")]).args(options);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status()?;
    let took = started.elapsed();
    if status.code() == Some(2) {
        bail!("the tool could not run: {command:?}");
    }
    let peak_kib = fs::read_to_string(&report).ok().and_then(|kib| kib.trim().parse().ok());
    // Where there is no report there is nothing to remove.
    let _ = fs::remove_file(&report);
    Ok(Taken { took, peak_kib })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
