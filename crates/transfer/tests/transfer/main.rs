//! Outputs move between two workers over a real socket, whole or not at all.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod holder;

use std::{collections::BTreeSet, fs, path::Path};

use tonic::Code;
use votum_ids::Digest;
use votum_machine::WallTime;
use votum_shadow::Shadow;
use votum_tls::Dialer;
use votum_transfer::{FetchError, Source, fetch};
use votum_wire::{
    LogStream,
    artifact::{LogChunk, ReadLogs},
};

use crate::holder::{Holder, Mischief, attempt, output};

/// Fetches into a worker of its own and returns the text of every file, by path.
async fn fetch_into(dir: &Path, source: &Source) -> Result<Vec<(String, Vec<u8>)>, FetchError> {
    let shadow = Shadow::open(&dir.join("reader"), &[]).unwrap();
    let staging = shadow.stage(&attempt(9)).unwrap();
    let digest = source.digest;
    let begin = move |manifest: &_| staging.intake(&output(), manifest, digest);
    let path = fetch(source, &Dialer::default(), begin).await?;
    let mut found = Vec::new();
    list(&path, &path, &mut found);
    found.sort();
    Ok(found)
}

fn list(top: &Path, path: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            list(top, &entry.unwrap().path(), found);
        }
    } else {
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        found.push((name, fs::read(path).unwrap()));
    }
}

fn tree() -> Vec<(String, Vec<u8>)> {
    let bytes = |len: usize| (0..len).map(|i| (i * 7 % 251) as u8).collect();
    vec![
        ("a/b/large".to_owned(), bytes(3 << 20)),
        ("a/empty".to_owned(), Vec::new()),
        ("one".to_owned(), bytes(1)),
        ("piece".to_owned(), bytes(512 << 10)),
        ("piece-and-one".to_owned(), bytes((512 << 10) + 1)),
    ]
}

#[tokio::test]
async fn a_tree_arrives_byte_for_byte() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    assert_eq!(fetch_into(holder.dir(), &holder.source).await.unwrap(), tree());
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_broke() {
    let holder = Holder::start(&tree(), Mischief::CutsTheFirstReads(3)).await;
    assert_eq!(fetch_into(holder.dir(), &holder.source).await.unwrap(), tree());
}

#[tokio::test]
async fn one_flipped_bit_is_refused() {
    let holder = Holder::start(&tree(), Mischief::FlipsABit).await;
    let refused = fetch_into(holder.dir(), &holder.source).await;
    assert!(matches!(refused, Err(FetchError::DigestMismatch { .. })), "{refused:?}");
}

#[tokio::test]
async fn another_manifest_than_the_named_one_is_refused() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let expected = Digest([1; 32]);
    let source = Source { digest: expected, ..holder.source.clone() };
    let refused = fetch_into(holder.dir(), &source).await;
    let Err(FetchError::DigestMismatch { expected: named, found }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((named, found), (expected, holder.source.digest));
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let source = Source { read_token: "guess".to_owned(), ..holder.source.clone() };
    let refused = fetch_into(holder.dir(), &source).await;
    let Err(FetchError::Refused { problem, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((problem.code, problem.reason.as_str()), (Code::PermissionDenied, "NOT_ALLOWED"));
}

#[tokio::test]
async fn an_output_that_is_not_held_is_gone() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let mut source = holder.source.clone();
    source.artifact.attempt = attempt(2);
    let gone = fetch_into(holder.dir(), &source).await;
    assert!(matches!(gone, Err(FetchError::Gone { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_holder_that_is_away_is_unreachable() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let dir = tempfile::tempdir().unwrap();
    let source = holder.stop().await;
    let away = fetch_into(dir.path(), &source).await;
    assert!(matches!(away, Err(FetchError::Unreachable { .. })), "{away:?}");
}

#[tokio::test]
async fn a_path_outside_of_the_manifest_is_not_read() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    for (path, code) in [
        ("../../secret", Code::InvalidArgument),
        ("/etc/passwd", Code::InvalidArgument),
        ("a/missing", Code::NotFound),
    ] {
        assert_eq!(holder.read(path).await.unwrap_err().code(), code, "{path}");
    }
}

#[tokio::test]
async fn the_last_lines_of_a_log_are_sent() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let logs = ReadLogs {
        attempt: attempt(1),
        stream: LogStream::Stdout,
        offset: 0,
        follow: false,
        tail_lines: Some(2),
        since: None,
        timed: false,
    };
    assert_eq!(holder.log(&logs).await.unwrap(), "line 9998\nline 9999\n");
}

#[tokio::test]
async fn a_log_since_a_time_begins_where_that_was_written() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let logs = |since, timed| ReadLogs {
        attempt: attempt(1),
        stream: LogStream::Stdout,
        offset: 0,
        follow: false,
        tail_lines: None,
        since: Some(WallTime(since)),
        timed,
    };
    let whole = holder.log(&logs(0, false)).await.unwrap();
    assert_eq!(holder.log(&logs(1_500, false)).await.unwrap(), whole[88_880..]);
    assert_eq!(holder.log(&logs(2_001, false)).await.unwrap(), "");
    let chunks = holder.log_chunks(&logs(0, true)).await.unwrap();
    let times: BTreeSet<_> =
        chunks.iter().map(|chunk| (chunk.offset >= 88_880, chunk.written)).collect();
    assert_eq!(times, [(false, Some(WallTime(1_000))), (true, Some(WallTime(2_000)))].into());
    let crosses =
        |chunk: &LogChunk| chunk.offset < 88_880 && chunk.offset + chunk.data.len() as u64 > 88_880;
    assert!(!chunks.iter().any(crosses), "a piece is of one time");
}

#[tokio::test]
async fn a_followed_log_ends_with_its_attempt() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let logs = ReadLogs {
        attempt: attempt(1),
        stream: LogStream::Stderr,
        offset: 0,
        follow: true,
        tail_lines: None,
        since: None,
        timed: false,
    };
    let (text, ()) = tokio::join!(holder.log(&logs), holder.go_on_and_end());
    assert_eq!(text.unwrap(), holder::GROWING.concat());
}

#[tokio::test]
async fn a_log_that_is_not_kept_is_not_found() {
    let holder = Holder::start(&tree(), Mischief::None).await;
    let logs = ReadLogs {
        attempt: attempt(3),
        stream: LogStream::Stdout,
        offset: 0,
        follow: true,
        tail_lines: Some(1),
        since: None,
        timed: false,
    };
    assert_eq!(holder.log(&logs).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_arrive_whole() {
    let part = |i: usize| (0..4 << 20).map(|byte: usize| ((byte * 31 + i) % 253) as u8).collect();
    let files: Vec<_> = (10..26).map(|i| (format!("part-{i}"), part(i))).collect();
    let holder = Holder::start(&files, Mischief::None).await;
    #[expect(clippy::disallowed_methods, reason = "a measurement for people, not asserted on")]
    let start = std::time::Instant::now();
    let found = fetch_into(holder.dir(), &holder.source).await.unwrap();
    println!("64 MiB arrived, verified and read back in {:?}", start.elapsed());
    assert!(found == files, "the bytes differ");
}
