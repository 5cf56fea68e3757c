//! Names of routing tables, from iproute2's files, and of groups of users.

use std::path::Path;

use super::lines;
use super::listing::files;

/// iproute2's directories: the administrator's, which take precedence, and the distribution's (since 6.6).
const DIRECTORIES: [&str; 2] = ["/etc/iproute2", "/usr/share/iproute2"];
/// The kernel's own tables (rt_class_t in linux/rtnetlink.h).
const BUILT_IN: [(&str, u32); 3] = [("local", 255), ("main", 254), ("default", 253)];

/// The number of a routing table's name; none if no readable file has it.
pub fn number(name: &str) -> Option<u32> {
    let named = DIRECTORIES
        .iter()
        .find_map(|directory| number_in(Path::new(directory), name));
    let built_in = || BUILT_IN.iter().find(|(known, _)| *known == name);
    named.or_else(|| built_in().map(|(_, number)| *number))
}

/// The number of a group of users, given by name (group(5)) or as a number; none if it is unknown.
pub fn group(name: &str) -> Option<u32> {
    let named = lines::find(Path::new("/etc/group"), &|line| {
        let mut fields = line.split(':');
        let (found, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        number.parse().ok().filter(|_| found == name)
    });
    named.or_else(|| name.parse().ok())
}

/// Searches `rt_tables` and every `rt_tables.d/*.conf` below a directory.
fn number_in(directory: &Path, name: &str) -> Option<u32> {
    number_in_file(&directory.join("rt_tables"), name).or_else(|| {
        let is_wanted = |_: &Path, file: &[u8]| file.len() > 5 && file.ends_with(b".conf");
        files(&directory.join("rt_tables.d"), &is_wanted)
            .iter()
            .find_map(|file| number_in_file(file, name))
    })
}

fn number_in_file(path: &Path, name: &str) -> Option<u32> {
    lines::find(path, &|line| {
        let (number, known) = parse(line)?;
        (known == name).then_some(number)
    })
}

/// `254 main # comment`; the number may be hexadecimal.
fn parse(line: &str) -> Option<(u32, &str)> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let number = words.next()?;
    let number = match number.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    Some((number.ok()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_iproute2_does() {
        assert_eq!(parse("254\tmain"), Some((254, "main")));
        assert_eq!(parse("  0xb0  isp1 # the first"), Some((176, "isp1")));
        assert_eq!(parse("17601 isp2#x"), Some((17601, "isp2")));
        for line in [
            "",
            "#",
            "# 5 five",
            "6",
            "seven 7",
            "-1 x",
            "0x 8",
            "99999999999 x",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_directory_adds_to_the_file_and_other_files_there_do_not_count() {
        let directory =
            std::env::temp_dir().join(format!("failover-tables-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("rt_tables.d")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        write("rt_tables", "#\n# reserved values\n#\n254\tmain\n7 seven\n");
        write("rt_tables.d/failover.conf", "176 failover\n8 seven");
        write("rt_tables.d/README", "9 nine\n");
        assert_eq!(number_in(&directory, "seven"), Some(7));
        assert_eq!(number_in(&directory, "failover"), Some(176));
        assert_eq!(number_in(&directory, "nine"), None);
        std::fs::remove_file(directory.join("rt_tables")).unwrap();
        assert_eq!(number_in(&directory, "seven"), Some(8));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(number_in(&directory, "seven"), None);
    }

    #[test]
    fn groups_are_known_by_name_and_number() {
        assert_eq!(group("root"), Some(0));
        assert_eq!(group("1234"), Some(1234));
        assert_eq!(group("no such group"), None);
    }

    #[test]
    fn the_kernels_tables_are_known_without_any_file() {
        assert_eq!(number("main"), Some(254));
        assert_eq!(number("default"), Some(253));
        assert_eq!(number("no such table"), None);
    }
}
