//! Power cuts: what was acknowledged before one is there after it.
//!
//! A filesystem on a loop device is shut down under the writer, which drops
//! every byte that was not synced, and mounted again. A kill cannot show this:
//! the kernel keeps what a killed process wrote. The same rig must find the loss
//! when the writer's syncs are answered without being done.

#![allow(clippy::unwrap_used, reason = "a test panics where it is surprised")]

#[allow(dead_code, reason = "the other tests use the rest")]
mod rig;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use rig::Verdict;

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let disk = match disk() {
        Ok(disk) => disk,
        Err(reason) => return println!("NOT RUN: {}", reason.trim()),
    };
    let seed = number_from("VOTUM_SEED", 1);
    let cuts = number_from("VOTUM_POWER_CUTS", 20);
    println!("VOTUM_SEED={seed} VOTUM_POWER_CUTS={cuts}");
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut acked = 0;
    for cut in 1..=cuts {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let writer = Writer::start(Command::new(rig::writer()), &disk, acked);
        acked = writer.cut_after(&disk, 1 + random % 40).max(acked);
        match disk.verify(acked) {
            // The writer goes on from what is held, which may be more than was acknowledged.
            Verdict::Holds(held) => acked = held,
            Verdict::Broken(why) => panic!("cut {cut}, VOTUM_SEED={seed}, acked {acked}: {why}"),
        }
    }
    println!("{cuts} power cuts, {acked} operations acknowledged or held, none lost");
}

#[test]
fn what_a_restart_finds_survives_the_next_power_cut() {
    let disk = match disk() {
        Ok(disk) => disk,
        Err(reason) => return println!("NOT RUN: {}", reason.trim()),
    };
    for visit in [2, 9] {
        // A killed writer leaves a group to the kernel alone; the restart counts it as durable.
        let mut killed = Command::new(rig::writer());
        killed.arg("write").arg(disk.journal()).arg("1048576");
        killed.env("VOTUM_CRASH_AT", format!("journal.after_append:{visit}"));
        assert!(!killed.output().unwrap().status.success());
        let Verdict::Holds(held) = rig::verify(&disk.journal(), 0) else {
            panic!("the restart finds whole operations")
        };
        Switch::ready(&disk.mount_point()).cut();
        match disk.verify(held) {
            Verdict::Holds(still) => assert_eq!(still, held),
            Verdict::Broken(why) => panic!("after {visit} groups: {why}"),
        }
    }
}

#[test]
fn the_rig_detects_syncs_that_are_not_done() {
    let disk = match disk() {
        Ok(disk) => disk,
        Err(reason) => return println!("NOT RUN: {}", reason.trim()),
    };
    let mut stubbed = Command::new("strace");
    let syncs = "fdatasync,fsync,sync_file_range";
    stubbed.args(["-f", "-o", "/dev/null", "-e", &format!("trace={syncs}")]);
    stubbed.args(["-e", &format!("inject={syncs}:retval=0")]).arg(rig::writer());
    let acked = Writer::start(stubbed, &disk, 0).cut_after(&disk, 20);
    assert!(acked > 0);
    let verdict = disk.verify(acked);
    assert!(matches!(&verdict, Verdict::Broken(why) if why.starts_with("lost")), "{verdict:?}");
}

/// A filesystem whose power can be cut. Dropping it unmounts and frees everything.
struct Disk {
    folder: tempfile::TempDir,
    device: String,
}

impl Disk {
    fn create() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        std::fs::create_dir(folder.path().join("mount")).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let device = run(Command::new("losetup").args(["-f", "--show"]).arg(&image))?;
        let disk = Self { folder, device: device.trim().to_owned() };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<String, String> {
        run(Command::new("mount").arg(&self.device).arg(self.mount_point()))
    }

    /// Unmounts; the last writer's files may take a moment to be let go.
    fn unmount(&self) -> Result<String, String> {
        let unmount = || run(Command::new("umount").arg(self.mount_point()));
        let mut result = unmount();
        for _ in 0..UNMOUNT_ATTEMPTS_MAX {
            if result.is_ok() {
                break;
            }
            result = unmount();
        }
        result
    }

    /// Mounts the disk as a reboot would and checks the journal on it.
    fn verify(&self, acked: u64) -> Verdict {
        self.unmount().unwrap();
        self.mount().unwrap();
        rig::verify(&self.journal(), acked)
    }

    fn mount_point(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    fn journal(&self) -> PathBuf {
        self.mount_point().join("journal")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever went wrong before is reported already.
        let _ = self.unmount();
        let _ = run(Command::new("losetup").args(["-d", &self.device]));
    }
}

/// A writer in a process group of its own, which ends with it.
struct Writer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Writer {
    /// Starts a writer that goes on after the operations that are held.
    fn start(mut command: Command, disk: &Disk, held: u64) -> Self {
        let endless = u64::MAX.to_string();
        command.arg("write").arg(disk.journal()).args(["1048576", &endless, &held.to_string()]);
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Cuts the power after some acknowledgements and returns the last one that came before.
    fn cut_after(mut self, disk: &Disk, acks: u64) -> u64 {
        let switch = Switch::ready(&disk.mount_point());
        let lines = (0..acks).map_while(|_| {
            let mut line = String::new();
            self.output.read_line(&mut line).ok().filter(|bytes| *bytes > 0).map(|_| line)
        });
        // Only what was read by now counts: what comes later may have come after the cut.
        let acked = lines.last().as_deref().and_then(rig::last_ack).unwrap_or(0);
        switch.cut();
        acked
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The filesystem's shutdown, one line of input away: without flushing its log.
struct Switch(Child);

impl Switch {
    fn ready(mount_point: &Path) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", SHUTDOWN]).arg(mount_point);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self(child)
    }

    fn cut(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(self.0.wait().unwrap().success(), "the filesystem was not shut down");
    }
}

/// Makes a disk, or says why this machine cannot.
fn disk() -> Result<Disk, String> {
    let tools = ["mkfs.ext4", "losetup", "mount", "umount", "python3", "strace"];
    rig::missing(&tools).map_or_else(Disk::create, Err)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
const SHUTDOWN: &str = "import fcntl, os, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.readline()
fcntl.ioctl(folder, 0x8004587d, (2).to_bytes(4, 'little'))";
const DISK_BYTES: u64 = 512 << 20;
const UNMOUNT_ATTEMPTS_MAX: u32 = 500;
