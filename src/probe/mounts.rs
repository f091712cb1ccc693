//! What is mounted where, and what will be mounted again after a restart.

use std::collections::{BTreeSet, HashMap};

use super::{FactSpec, Input, Kind, Output, Probe, Transcript, Wanted, needs_nothing, no_secrets};
use crate::command::{Fragment, Program, ReadOnlyCommand, Rights, Step};
use crate::model::{Value, Why};

pub(super) const PROBE: Probe = Probe { name: "mounts", facts: FACTS, needs: needs_nothing, steps, parse, redact: no_secrets };

const FACTS: &[FactSpec] = &[FactSpec {
    name: "mount",
    key: Some("path"),
    kind: Kind::Record(&[
        ("mountpoint", Kind::Text),
        ("fstype", Kind::Text),
        ("source", Kind::Text),
        ("options", Kind::List(&Kind::Text)),
        ("device", Kind::Text),
        ("root", Kind::Text),
        ("is_root_filesystem", Kind::Bool),
        ("is_own_filesystem", Kind::Bool),
    ]),
    unit: None,
    source: "cat /proc/self/mountinfo, readlink -f",
    rights: Rights::Any,
    summary: "The mount that holds a path (symbolic links followed): is_root_filesystem where that is /, is_own_filesystem where it is mounted at the path itself.",
}];

/// One line of /proc/self/mountinfo, proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    parent: String,
    /// `major:minor`.
    pub(super) device: String,
    /// The directory of the file system that is mounted: `/`, else it is a bind mount or a subvolume.
    pub(super) root: String,
    pub(super) mountpoint: String,
    /// Of the mount and of the file system.
    pub(super) options: Vec<String>,
    pub(super) fstype: String,
    pub(super) source: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        // The optional fields between the options and the lone `-` are of any number.
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ');
        let (_id, parent, device, root, mountpoint) =
            (before.next()?, before.next()?, before.next()?, before.next()?, before.next()?);
        let options = before.next()?;
        let mut after = after.split(' ');
        let (fstype, source) = (after.next()?, after.next()?);
        let mut all: Vec<String> = Vec::new();
        for option in options.split(',').chain(after.next().unwrap_or_default().split(',')) {
            if !option.is_empty() && !all.iter().any(|known| known == option) {
                all.push(option.to_owned());
            }
        }
        Some(Self {
            parent: parent.to_owned(),
            device: device.to_owned(),
            root: unescape(root),
            mountpoint: unescape(mountpoint),
            options: all,
            fstype: fstype.to_owned(),
            source: unescape(source),
        })
    }
}

impl Mount {
    /// Whether this mount shows at its mountpoint what the mount above shows there anyway.
    fn repeats(&self, above: &Self) -> bool {
        let below = self.mountpoint.strip_prefix(above.mountpoint.trim_end_matches('/')).unwrap_or_default();
        self.device == above.device
            && self.root.trim_end_matches('/') == format!("{}{}", above.root.trim_end_matches('/'), below.trim_end_matches('/'))
    }
}

/// Every mount of the host, in the order of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let mounts: Vec<Mount> = text.lines().filter_map(Mount::parse).collect();
        if mounts.iter().any(|mount| mount.mountpoint == "/") {
            Ok(Self(mounts))
        } else {
            Err(Why::CouldNotBeParsed("/proc/self/mountinfo shows nothing at `/`".to_owned()))
        }
    }

    /// From the answer of [`mountinfo_step`].
    pub(super) fn of(answers: &Transcript) -> Result<Self, Why> {
        Self::parse(&answers.text("mountinfo")?)
    }

    /// The mounts that a path passes through, and that can still be seen: not those below a directory that was mounted over later.
    fn on_the_way(&self, path: &str) -> Vec<&Mount> {
        // All of them begin the path, so of two the one with the shorter mountpoint is above the other.
        let mut shortest_later: HashMap<&str, usize> = HashMap::new();
        let mut seen: Vec<&Mount> = Vec::new();
        for mount in self.0.iter().rev().filter(|mount| is_within(path, &mount.mountpoint)) {
            let shortest = shortest_later.entry(&mount.parent).or_insert(usize::MAX);
            if mount.mountpoint.len() <= *shortest {
                seen.push(mount);
            }
            *shortest = (*shortest).min(mount.mountpoint.len());
        }
        seen.reverse();
        seen
    }

    /// The mount that holds a path: the longest mountpoint, and of several there the last one, which covers the others.
    pub(super) fn holding(&self, path: &str) -> Option<&Mount> {
        self.on_the_way(path).into_iter().max_by_key(|mount| mount.mountpoint.len())
    }

    /// The file systems that a path passes through, from `/` on. Without directories that are mounted over themselves, as dockerd does with its data
    /// directory: what lies below is what was there before.
    fn layers(&self, path: &str) -> Vec<&Mount> {
        let mut mounts = self.on_the_way(path);
        mounts.sort_by_key(|mount| mount.mountpoint.len());
        let mut layers: Vec<&Mount> = Vec::new();
        for mount in mounts {
            if !layers.last().is_some_and(|above| mount.repeats(above)) {
                layers.push(mount);
            }
        }
        layers
    }

    /// The mount of the file system that holds a path, see [`Self::layers`].
    pub(super) fn file_system(&self, path: &str) -> Option<&Mount> {
        self.layers(path).pop()
    }

    /// The mountpoints that a path passes through, the path itself at the latest.
    pub(super) fn way(&self, path: &str) -> BTreeSet<&str> {
        self.layers(path).into_iter().map(|mount| mount.mountpoint.as_str()).collect()
    }

    /// Where the file system is mounted as a whole, of which a mount shows a directory; else the mount itself.
    pub(super) fn home<'a>(&'a self, mount: &'a Mount) -> &'a Mount {
        let whole = |other: &&Mount| {
            other.device == mount.device && other.root.len() < mount.root.len() && is_within(&mount.root, &other.root)
        };
        self.0.iter().find(whole).unwrap_or(mount)
    }

    pub(super) fn is_mounted_at(&self, path: &str) -> bool {
        self.0.iter().any(|mount| mount.mountpoint == path)
    }
}

/// The mountpoint below a directory, of those on the way to something in it: what a recursive watch of the directory may not cross.
pub(super) fn boundary<'a>(way: &BTreeSet<&'a str>, directory: &str) -> Option<&'a str> {
    way.iter().copied().find(|mountpoint| *mountpoint != directory && is_within(mountpoint, directory))
}

/// Whether a path is a directory or lies below it.
pub(super) fn is_within(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `\040` and the like of mountinfo and fstab(5).
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 4).filter(|_| byte == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            if digits.bytes().all(|digit| digit.is_ascii_digit()) { u8::from_str_radix(digits, 8).ok() } else { None }
        });
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What the configuration of the host says about mounts.
#[derive(Debug, Clone)]
pub(super) struct Configured {
    /// Mountpoint and options of each line of fstab(5).
    fstab: Vec<(String, Vec<String>)>,
    /// Mountpoint and state of each mount unit.
    units: Result<Vec<(String, String)>, Why>,
}

impl Configured {
    /// From the answers of [`configured_steps`].
    ///
    /// # Errors
    /// When fstab is there and could not be read.
    pub(super) fn of(answers: &Transcript) -> Result<Self, Why> {
        let fstab = match answers.text("fstab") {
            // Image-based systems have none.
            Err(Why::ProbeFailed(said)) if said.contains("No such file") => String::new(),
            other => other?,
        };
        let units = match answers.text("mount-units") {
            // Without systemd there are no units.
            Err(Why::ToolMissing(_)) => Ok(Vec::new()),
            other => other.map(|text| text.lines().filter_map(mount_unit).collect()),
        };
        Ok(Self { fstab: fstab.lines().filter_map(fstab_line).collect(), units })
    }

    /// What will mount this again at the next start: `fstab`, `unit`, or `none`.
    ///
    /// # Errors
    /// When fstab does not and the mount units are not known.
    pub(super) fn persistence(&self, mountpoint: &str) -> Result<&'static str, Why> {
        if self.fstab.iter().any(|(listed, options)| listed == mountpoint && is_automatic(options)) {
            return Ok("fstab");
        }
        let units = self.units.as_ref().map_err(Clone::clone)?;
        let lasting = |state: &str| matches!(state, "enabled" | "static" | "generated" | "indirect" | "alias");
        Ok(if units.iter().any(|(at, state)| at == mountpoint && lasting(state)) { "unit" } else { "none" })
    }

    /// A mountpoint that should hold the path and has nothing mounted at it.
    pub(super) fn not_mounted(&self, path: &str, mounts: &Mounts) -> Option<String> {
        let listed = self.fstab.iter().filter(|(_, options)| is_automatic(options)).map(|(mountpoint, _)| mountpoint);
        let units = self.units.iter().flatten().filter(|(_, state)| state == "enabled").map(|(mountpoint, _)| mountpoint);
        listed
            .chain(units)
            .find(|mountpoint| mountpoint.as_str() != "/" && is_within(path, mountpoint) && !mounts.is_mounted_at(mountpoint))
            .cloned()
    }
}

/// Whether a line of fstab is mounted at the start, or when it is first used.
fn is_automatic(options: &[String]) -> bool {
    !options.iter().any(|option| option == "noauto") || options.iter().any(|option| option == "x-systemd.automount")
}

fn fstab_line(line: &str) -> Option<(String, Vec<String>)> {
    let mut fields = line.split_ascii_whitespace();
    let source = fields.next().filter(|source| !source.starts_with('#'))?;
    let mountpoint = unescape(fields.next()?);
    let fstype = fields.next()?;
    if source.is_empty() || fstype == "swap" || !mountpoint.starts_with('/') {
        return None;
    }
    let options = fields.next().unwrap_or("defaults").split(',').map(str::to_owned).collect();
    let mountpoint = if mountpoint.len() > 1 { mountpoint.trim_end_matches('/').to_owned() } else { mountpoint };
    Some((mountpoint, options))
}

/// `var-lib-docker.mount enabled -`: the path is the escaped name, systemd.mount(5) and systemd-escape(1).
fn mount_unit(line: &str) -> Option<(String, String)> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?.strip_suffix(".mount")?;
    let state = fields.next()?;
    if name == "-" {
        return Some(("/".to_owned(), state.to_owned()));
    }
    let mut path = vec![b'/'];
    let bytes = name.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes
            .get(at..at + 4)
            .and_then(|escape| std::str::from_utf8(escape.strip_prefix(b"\\x")?).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        path.push(code.unwrap_or(if byte == b'-' { b'/' } else { byte }));
        at += if code.is_some() { 4 } else { 1 };
    }
    Some((String::from_utf8_lossy(&path).into_owned(), state.to_owned()))
}

/// Where paths lead, as [`Fragment::RealPaths`] says.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    found: Vec<Found>,
    hidden: Vec<String>,
}

/// A path that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// `directory`, `socket` or `file`.
    pub(super) kind: String,
    pub(super) path: String,
    /// With every symbolic link followed.
    pub(super) real: String,
}

impl Paths {
    pub(super) fn parse(text: &str) -> Self {
        let mut paths = Self::default();
        for line in text.lines() {
            let mut fields = line.splitn(3, '|');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("hidden"), Some(path), _) => paths.hidden.push(path.to_owned()),
                (Some(kind @ ("directory" | "socket" | "file")), Some(path), Some(real)) => {
                    let real = if real.starts_with('/') { real } else { path };
                    paths.found.push(Found { kind: kind.to_owned(), path: path.to_owned(), real: real.to_owned() });
                }
                _ => {}
            }
        }
        paths
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Found> {
        self.found.iter()
    }

    /// The path as it was asked for, where it exists.
    ///
    /// # Errors
    /// Needs-root where a directory above it may not be searched.
    pub(super) fn find(&self, path: &str) -> Result<Option<&Found>, Why> {
        if self.hidden.iter().any(|hidden| hidden == path) {
            return Err(Why::NeedsRoot(format!("whether `{path}` exists can only be seen by root")));
        }
        Ok(self.found.iter().find(|found| found.path == path))
    }
}

/// The step whose answer [`Mounts::of`] reads.
pub(super) fn mountinfo_step() -> Option<Step> {
    let command = ReadOnlyCommand::new(Program::Cat, &["/proc/self/mountinfo"], Rights::Any).ok()?;
    Some(Step::new("mountinfo", command))
}

/// The steps whose answers [`Configured::of`] reads.
pub(super) fn configured_steps() -> Vec<Step> {
    let fstab = ReadOnlyCommand::new(Program::Cat, &["/etc/fstab"], Rights::Any);
    let list = ["list-unit-files", "--type=mount", "--no-legend", "--no-pager", "--plain"];
    let units = ReadOnlyCommand::new(Program::Systemctl, &list, Rights::Any);
    let step = |(id, command): (&str, Result<_, _>)| Some(Step::new(id, command.ok()?));
    [("fstab", fstab), ("mount-units", units)].into_iter().filter_map(step).collect()
}

fn steps(wanted: &Wanted) -> Vec<Step> {
    let keys = wanted.keys("mount");
    if keys.is_empty() {
        return Vec::new();
    }
    let paths = ReadOnlyCommand::fragment(Fragment::RealPaths, &keys, Rights::Any).ok();
    mountinfo_step().into_iter().chain(paths.map(|command| Step::new("mount-paths", command))).collect()
}

fn parse(input: &Input<'_>, output: &mut Output) {
    let mounts = Mounts::of(input.answers);
    let paths = input.answers.text("mount-paths").map(|text| Paths::parse(&text));
    for key in input.wanted.keys("mount") {
        let fact = || {
            let mounts = mounts.as_ref().map_err(Clone::clone)?;
            let real = paths.as_ref().map_err(Clone::clone)?.find(key)?.map_or(key, |found| found.real.as_str());
            let held = mounts.holding(real);
            let mount = held.ok_or_else(|| Why::CouldNotBeParsed(format!("`{key}` is no absolute path")))?;
            Ok(Value::record([
                ("mountpoint", mount.mountpoint.clone().into()),
                ("fstype", mount.fstype.clone().into()),
                ("source", mount.source.clone().into()),
                ("options", mount.options.clone().into()),
                ("device", mount.device.clone().into()),
                ("root", mount.root.clone().into()),
                ("is_root_filesystem", (mount.mountpoint == "/").into()),
                ("is_own_filesystem", (mount.mountpoint == real).into()),
            ]))
        };
        output.set_keyed("mount", key, fact());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::probe::script::tests::{answered, answered_with, facts_of};

    /// A Debian host with LVM; the mounts of the containers are left out.
    pub(crate) const MOUNTINFO: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334492k,nr_inodes=3083623,mode=755
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,resv_strict
28 27 0:25 / /run rw,nosuid,nodev shared:5 master:1 - tmpfs tmpfs rw,size=2468409k,mode=755
40 27 253:1 / /var rw,nodev,relatime shared:29 - xfs /dev/mapper/vg-var rw,attr2
41 40 253:2 / /var/lib/docker rw,nodev,relatime shared:31 - ext4 /dev/mapper/vg-docker rw,data=ordered
42 40 253:3 / /var/log/audit rw,relatime - ext4 /dev/mapper/vg-audit rw
43 27 8:17 / /mnt/back\\040up\\134x rw,relatime - ext4 /dev/sdb1 rw
";

    fn mounts(text: &str) -> Mounts {
        Mounts::parse(text).expect("mounts")
    }

    #[test]
    fn the_longest_mountpoint_holds_a_path_and_a_name_that_only_begins_alike_does_not() {
        let mounts = mounts(MOUNTINFO);
        let at = |path| mounts.holding(path).expect("a mount").mountpoint.clone();
        assert_eq!(at("/var/lib/docker"), "/var/lib/docker");
        assert_eq!(at("/var/lib/docker/overlay2/x"), "/var/lib/docker");
        assert_eq!(at("/var/lib/docker-old"), "/var");
        assert_eq!(at("/variable"), "/");
        assert_eq!(at("/"), "/");
    }

    #[test]
    fn escapes_are_undone_and_optional_fields_skipped() {
        let mounts = mounts(MOUNTINFO);
        assert!(mounts.is_mounted_at("/mnt/back up\\x"));
        let run = mounts.holding("/run/docker.sock").expect("a mount");
        assert_eq!((run.fstype.as_str(), run.source.as_str()), ("tmpfs", "tmpfs"));
        assert_eq!(run.options, ["rw", "nosuid", "nodev", "size=2468409k", "mode=755"]);
    }

    #[test]
    fn of_two_mounts_at_one_place_the_later_one_counts() {
        let text = format!("{MOUNTINFO}60 41 0:50 / /var/lib/docker rw - tmpfs none rw\n");
        assert_eq!(mounts(&text).holding("/var/lib/docker").expect("a mount").fstype, "tmpfs");
    }

    #[test]
    fn a_mount_below_a_directory_that_was_mounted_over_is_not_seen() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n41 27 253:2 / /var/lib/docker rw - ext4 /dev/docker rw\n42 27 253:1 / /var rw - ext4 /dev/var rw\n";
        assert_eq!(mounts(text).holding("/var/lib/docker").expect("a mount").mountpoint, "/var");
    }

    #[test]
    fn the_boundary_below_a_directory_is_found_and_the_directory_itself_is_none() {
        let mounts = mounts(MOUNTINFO);
        let way = mounts.way("/var/lib/docker/x");
        assert_eq!(boundary(&way, "/var"), Some("/var/lib/docker"));
        assert_eq!(boundary(&way, "/var/lib/docker"), None);
        assert_eq!(boundary(&mounts.way("/etc/docker"), "/"), None);
    }

    #[test]
    fn a_directory_that_is_mounted_over_itself_is_no_boundary() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n42 27 254:0 /var/lib/docker /var/lib/docker rw,relatime shared:1 - ext4 /dev/vda rw\n\
43 27 254:0 /srv/data /mnt rw - ext4 /dev/vda rw\n";
        let mounts = mounts(text);
        assert_eq!(boundary(&mounts.way("/var/lib/docker/x"), "/var"), None);
        assert_eq!(mounts.file_system("/var/lib/docker").map(|mount| mount.mountpoint.as_str()), Some("/"));
        assert_eq!(mounts.holding("/var/lib/docker").map(|mount| mount.mountpoint.as_str()), Some("/var/lib/docker"));
        assert_eq!(boundary(&mounts.way("/mnt/x"), "/"), Some("/mnt"));
    }

    #[test]
    fn the_fact_follows_symbolic_links_of_the_path() {
        let answers = [
            ("mountinfo", answered(MOUNTINFO)),
            ("mount-paths", answered("directory|/var/run|/run\ndirectory|/var/log/audit|/var/log/audit\nhidden|/root/x|\n")),
        ];
        let facts =
            facts_of(&["mount[\"/var/run\"]", "mount[\"/var/log/audit\"]", "mount[\"/tmp\"]", "mount[\"/root/x\"]"], &answers);
        let field = |path, name| facts.keyed("mount", path).expect("known").field(name).cloned();
        assert_eq!(field("/var/run", "fstype"), Some("tmpfs".into()));
        assert_eq!(field("/var/run", "is_own_filesystem"), Some(true.into()));
        assert_eq!(field("/var/log/audit", "is_own_filesystem"), Some(true.into()));
        assert_eq!(field("/tmp", "is_root_filesystem"), Some(true.into()));
        assert!(matches!(facts.keyed("mount", "/root/x"), Err(Why::NeedsRoot(_))));
    }

    fn configured(fstab: crate::probe::Answer, units: &str) -> Configured {
        let answers = [("fstab".to_owned(), fstab), ("mount-units".to_owned(), answered(units))];
        Configured::of(&Transcript::from_answers(answers, true)).expect("configured")
    }

    #[test]
    fn fstab_and_mount_units_say_what_lasts() {
        let fstab = "# <file system> <mount point>\nUUID=1 / ext4 errors=remount-ro 0 1\n/dev/vg/var\t/var/  xfs defaults 0 2\n\
/dev/sdc1 /mnt/by\\040hand ext4 noauto 0 0\nnas:/x /mnt/nas nfs noauto,x-systemd.automount 0 0\n/swap none swap sw 0 0\n";
        let units = "-.mount generated -\nvar-lib-docker.mount enabled enabled\nsrv-my\\x2ddata.mount disabled enabled\n";
        let configured = configured(answered(fstab), units);
        assert_eq!(configured.persistence("/var"), Ok("fstab"));
        assert_eq!(configured.persistence("/var/lib/docker"), Ok("unit"));
        assert_eq!(configured.persistence("/srv/my-data"), Ok("none"));
        assert_eq!(configured.persistence("/mnt/by hand"), Ok("none"));
        assert_eq!(configured.persistence("/mnt/nas"), Ok("fstab"));
    }

    #[test]
    fn a_listed_file_system_that_is_not_mounted_is_found() {
        let configured = configured(answered("/dev/vg/d /srv/docker ext4 defaults 0 2\n"), "");
        let mounts = mounts(MOUNTINFO);
        assert_eq!(configured.not_mounted("/srv/docker/data", &mounts).as_deref(), Some("/srv/docker"));
        assert_eq!(configured.not_mounted("/var/lib/docker", &mounts), None);
    }

    #[test]
    fn a_host_without_fstab_has_only_its_units() {
        let missing = answered_with("", "cat: /etc/fstab: No such file or directory", 1);
        assert_eq!(configured(missing, "var.mount generated -\n").persistence("/var"), Ok("unit"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*", path in "\\PC*") {
            let _ = (mount_unit(&text), fstab_line(&text), unescape(&text), Paths::parse(&text));
            let line = format!("27 1 254:0 / / rw - ext4 /dev/vda rw\n1 27 0:1 {text} /{path} {text} - {text}");
            let mounts = mounts(&line);
            let _ = (mounts.holding(&path), boundary(&mounts.way(&path), &text));
        }
    }
}
