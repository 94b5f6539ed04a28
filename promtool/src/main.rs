//! The tool alone, without the servers: for its tests, and for whoever works on it. What is shipped is `pharos promtool`.

fn main() -> std::process::ExitCode {
    promtool::main(std::env::args_os().skip(1))
}
