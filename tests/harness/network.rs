//! A network of its own for one cluster: every daemon in a namespace, and each direction can be cut.
//!
//! The namespaces hang on a bridge, which has one too, so that no rule of the
//! machine's firewall applies between them. A direction is cut by a wrong
//! entry in the sender's table of neighbours: its frames go to nobody, and
//! nobody is told, as behind a switch that died. All names carry the number of
//! the process that made them; what a killed one left is removed by the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// The namespaces of one cluster and the bridge between them.
#[derive(Debug)]
pub struct Network {
    /// Begins every name.
    prefix: String,
    /// Third and second byte of every address.
    subnet: (u8, u8),
    /// The last byte of each node's address.
    nodes: BTreeMap<String, u8>,
}

impl Network {
    /// Makes a namespace for each node; the test itself stays outside and reaches all of them.
    ///
    /// # Errors
    /// Says why this machine does not allow it.
    pub fn made(nodes: &[&str]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a network of its own needs root".to_owned());
        }
        remove_abandoned();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let numbered = nodes.iter().zip(1u8..).map(|(name, last)| ((*name).to_owned(), last));
        let network = Self {
            prefix: format!("{PREFIX}{}n{number}", std::process::id()),
            subnet: free_subnet(number)?,
            nodes: numbered.collect(),
        };
        // From here on whatever was made goes with the value, also if the rest fails.
        network.make()?;
        Ok(network)
    }

    /// Returns the address of a node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn address(&self, node: &str) -> Ipv4Addr {
        let (second, third) = self.subnet;
        Ipv4Addr::new(FIRST_BYTE, second, third, self.nodes[node])
    }

    /// Returns what runs a program in the namespace of a node.
    #[must_use]
    pub fn wrapper(&self, node: &str) -> [String; 2] {
        // Of all namespaces only that of the network: /sys and the folders stay the same.
        ["nsenter".to_owned(), format!("--net=/run/netns/{}", self.namespace(node))]
    }

    /// Loses every frame from one node to another, and none the other way round.
    ///
    /// # Panics
    /// If the machine refuses.
    pub fn cut(&self, from: &str, to: &str) {
        self.point(from, to, NOBODY).expect("what was set can be changed");
    }

    /// Loses every frame between a node and all others.
    pub fn isolate(&self, node: &str) {
        for other in self.nodes.keys().filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    /// Loses nothing any more.
    ///
    /// # Panics
    /// If the machine refuses.
    pub fn heal(&self) {
        self.point_everybody().expect("what was set can be changed");
    }

    fn make(&self) -> Result<(), String> {
        let switch = self.namespace(SWITCH);
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for node in self.nodes.keys() {
            self.attach(&switch, node)?;
        }
        let outside = self.outside();
        self.plug(&switch, &outside, OUTSIDE)?;
        let (second, third) = self.subnet;
        let address = format!("{FIRST_BYTE}.{second}.{third}.{OUTSIDE}/24");
        ip(&["address", "add", &address, "dev", &outside])?;
        ip(&["link", "set", &outside, "up"])?;
        self.point_everybody()
    }

    /// Makes the namespace of a node, with one interface at the switch.
    fn attach(&self, switch: &str, node: &str) -> Result<(), String> {
        let (namespace, last) = (self.namespace(node), self.nodes[node]);
        let cable = format!("{}{last}", self.prefix);
        ip(&["netns", "add", &namespace])?;
        self.plug(switch, &cable, last)?;
        ip(&["link", "set", &cable, "netns", &namespace, "name", INTERFACE])?;
        let address = format!("{}/24", self.address(node));
        ip(&["-n", &namespace, "address", "add", &address, "dev", INTERFACE])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        ip(&["-n", &namespace, "link", "set", INTERFACE, "up"])
    }

    /// Makes a cable whose other end is at the switch.
    fn plug(&self, switch: &str, cable: &str, last: u8) -> Result<(), String> {
        let port = format!("port{last}");
        let hardware = self.hardware(last);
        let ends = ["link", "add", cable, "address", &hardware, "type", "veth"];
        ip(&[&ends[..], &["peer", "name", &port, "netns", switch]].concat())?;
        ip(&["-n", switch, "link", "set", &port, "master", "bridge"])?;
        ip(&["-n", switch, "link", "set", &port, "up"])
    }

    fn point_everybody(&self) -> Result<(), String> {
        for from in self.nodes.keys() {
            for (to, last) in self.nodes.iter().filter(|(to, _)| *to != from) {
                self.point(from, to, &self.hardware(*last))?;
            }
        }
        Ok(())
    }

    /// Says to which interface the frames from one node to another go.
    fn point(&self, from: &str, to: &str, hardware: &str) -> Result<(), String> {
        let (namespace, to) = (self.namespace(from), self.address(to).to_string());
        let entry = [&to, "lladdr", hardware, "nud", "permanent", "dev", INTERFACE];
        ip(&[&["-n", &namespace, "neighbour", "replace"], &entry[..]].concat())
    }

    fn namespace(&self, node: &str) -> String {
        format!("{}-{node}", self.prefix)
    }

    fn outside(&self) -> String {
        format!("{}out", self.prefix)
    }

    fn hardware(&self, last: u8) -> String {
        let (second, third) = self.subnet;
        format!("02:76:74:{second:02x}:{third:02x}:{last:02x}")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What was never made cannot be removed; a cable goes with its other end.
        let _ = ip(&["link", "delete", &self.outside()]);
        for node in self.nodes.keys().map(String::as_str).chain([SWITCH]) {
            let _ = ip(&["netns", "delete", &self.namespace(node)]);
        }
    }
}

/// Removes the namespaces of processes that are gone.
fn remove_abandoned() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('n').next());
        let Some(maker) = maker.filter(|maker| maker.parse::<u32>().is_ok()) else { continue };
        if !Path::new("/proc").join(maker).exists() {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Returns a network of the benchmarking range to which nothing on this machine leads.
fn free_subnet(number: u32) -> Result<(u8, u8), String> {
    let taken = routed()?;
    let start = std::process::id().wrapping_mul(8).wrapping_add(number);
    let candidate = |step| {
        let at = start.wrapping_add(step) % SUBNETS;
        let third = u8::try_from(at % 256).expect("a remainder of 256 is a byte");
        (if at < 256 { 18 } else { 19 }, third)
    };
    let free = (0..SUBNETS).map(candidate).find(|subnet| !taken.contains(subnet));
    free.ok_or_else(|| "every network of the benchmarking range is taken".to_owned())
}

fn routed() -> Result<BTreeSet<(u8, u8)>, String> {
    let routes = output(&["-4", "route", "show"])?;
    let subnet = |line: &str| {
        let mut bytes = line.split_whitespace().next()?.split(['.', '/']);
        (bytes.next()? == FIRST_BYTE.to_string()).then_some(())?;
        Some((bytes.next()?.parse().ok()?, bytes.next()?.parse().ok()?))
    };
    Ok(routes.lines().filter_map(subnet).collect())
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    output(arguments).map(|_| ())
}

fn output(arguments: &[&str]) -> Result<String, String> {
    let called = format!("ip {}", arguments.join(" "));
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("{called}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{called}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

static NEXT: AtomicU32 = AtomicU32::new(0);
const PREFIX: &str = "vt";
const SWITCH: &str = "switch";
const INTERFACE: &str = "eth0";
/// 198.18.0.0/15 is set aside for tests between devices (RFC 2544).
const FIRST_BYTE: u8 = 198;
const SUBNETS: u32 = 512;
/// The last byte of the address under which the nodes see the test itself.
const OUTSIDE: u8 = 254;
/// An interface that nothing has.
const NOBODY: &str = "02:76:74:ff:ff:ff";
