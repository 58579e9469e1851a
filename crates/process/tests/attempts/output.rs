//! What is kept of a task's output.

use votum_process::{
    Exit,
    output::{self, LogStream, Piece},
};

use crate::world::{Attempt, until};

#[tokio::test]
async fn both_streams_are_complete_and_apart() {
    let attempt = Attempt::of_script("seq 1 20000; seq 30000 30010 >&2");

    let ended = attempt.start().await.exited().await.unwrap();

    let expected: String = (1..=20_000).map(|i| format!("{i}\n")).collect();
    let stdout = output::read(&attempt.dir(), LogStream::Stdout, 0, 1 << 20).unwrap();
    assert_eq!(String::from_utf8(stdout.data).unwrap(), expected);
    let stderr = output::read(&attempt.dir(), LogStream::Stderr, 6, 6).unwrap();
    assert_eq!((stderr.data.as_slice(), stderr.end), (b"30001\n".as_slice(), 66));
    assert_eq!((ended.stdout_bytes, ended.stderr_bytes), (expected.len() as u64, 66));
}

#[tokio::test]
async fn ten_megabytes_leave_one_with_both_ends() {
    let attempt = Attempt::of_script("seq -f %019.0f 1 500000");

    let ended = attempt.start().await.exited().await.unwrap();

    assert_eq!((ended.exit, ended.stdout_bytes), (Exit::Code(0), 10_000_000));
    let pieces = read_all(&attempt);
    assert_eq!(&pieces[0].data[..20], b"0000000000000000001\n");
    assert!(pieces.last().unwrap().data.ends_with(b"0000000000000500000\n"));
    let kept: u64 = pieces.iter().map(|piece| piece.data.len() as u64).sum();
    let dropped: u64 = pieces.iter().map(|piece| piece.dropped).sum();
    assert_eq!(kept + dropped, 10_000_000);
    assert!(kept > 700_000 && kept <= 1 << 20, "{kept}");
    let on_disk: u64 = std::fs::read_dir(attempt.dir())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("stdout.log") && !name.ends_with(".times")
        })
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert_eq!(on_disk, kept);
}

#[tokio::test]
async fn a_log_can_be_followed_while_it_grows() {
    let attempt = Attempt::of_script("echo one; until [ -e go ]; do sleep 0.01; done; echo two");
    let supervised = attempt.start().await;
    let read = |offset| output::read(&attempt.dir(), LogStream::Stdout, offset, 100).unwrap();
    until("the first line is there", || read(0).data == b"one\n").await;
    assert_eq!(read(4), Piece { offset: 4, data: Vec::new(), dropped: 0, end: 4 });

    std::fs::write(attempt.work("go"), "").unwrap();
    supervised.exited().await.unwrap();

    assert_eq!(read(4), Piece { offset: 4, data: b"two\n".to_vec(), dropped: 0, end: 8 });
}

#[tokio::test]
async fn a_closed_output_does_not_end_the_attempt() {
    let attempt = Attempt::of_script("exec >&- 2>&-; until [ -e go ]; do sleep 0.01; done; exit 5");
    let supervised = attempt.start().await;

    std::fs::write(attempt.work("go"), "").unwrap();

    assert_eq!(supervised.exited().await.unwrap().exit, Exit::Code(5));
}

#[tokio::test]
async fn an_outsider_who_holds_the_output_delays_nothing() {
    let attempt = Attempt::of_script("echo $$ > up; until [ -e go ]; do sleep 0.01; done; echo x");
    let supervised = attempt.start().await;
    let pids = attempt.numbers("up").await;
    let pipe = format!("/proc/{}/fd/1", pids[0]);
    let held = std::fs::File::options().write(true).open(pipe).unwrap();

    std::fs::write(attempt.work("go"), "").unwrap();
    let ended = supervised.exited().await.unwrap();

    assert_eq!((ended.exit, ended.stdout_bytes), (Exit::Code(0), 2));
    drop(held);
}

fn read_all(attempt: &Attempt) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    loop {
        let piece = output::read(&attempt.dir(), LogStream::Stdout, offset, 300_000).unwrap();
        if piece.data.is_empty() {
            return pieces;
        }
        offset = piece.offset + piece.data.len() as u64;
        pieces.push(piece);
    }
}
