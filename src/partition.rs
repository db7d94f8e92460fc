//! Parts of a run, for several machines that do not speak to each other: each has the cells or the experiments whose digest falls to
//! it, and `merge` makes one results file of theirs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::fnv_1a;
use crate::plan::Cell;

/// How a partition by digest is spelled, before `M/N`.
const HASH: &str = "hash:";
/// The most parts of a run.
const PARTS_MAX: u32 = 10_000;

/// One of several parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    /// Which part, from 1.
    pub part: u32,
    /// How many parts there are.
    pub of: u32,
}

/// What a results file says about the part of a run that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartOfRun {
    #[serde(flatten)]
    pub partition: Partition,
    /// How many cells all parts have together.
    pub cells: u32,
    /// A digest of these cells: parts of one run have the same.
    pub digest: String,
}

impl Partition {
    fn new(part: u32, of: u32) -> Result<Partition, String> {
        match (1..=of).contains(&part) && of <= PARTS_MAX {
            true => Ok(Partition { part, of }),
            false => Err(format!("there is no part {part} of {of}; parts are counted from 1, to {PARTS_MAX} at most")),
        }
    }

    /// True if this part has the cell with this id, or the experiment with this number. Each falls to one part, whatever else there
    /// is.
    pub fn has(self, id: &str) -> bool {
        let hash = fnv_1a(id.as_bytes());
        // The last bits of FNV-1a know little of all but the last bits of each byte.
        let mixed = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        ((mixed ^ mixed >> 33) % u64::from(self.of)) as u32 + 1 == self.part
    }

    /// The cells of this part, and what the results file says about it.
    pub fn take(self, mut cells: Vec<Cell>) -> (Vec<Cell>, PartOfRun) {
        let mut texts: Vec<String> = cells.iter().map(|cell| format!("{cell:?}")).collect();
        texts.sort_unstable();
        let digest = format!("{:016x}", fnv_1a(texts.concat().as_bytes()));
        let part = PartOfRun { partition: self, cells: cells.len() as u32, digest };
        cells.retain(|cell| self.has(&cell.id));
        (cells, part)
    }

    /// The part that a scheduler gave this process, by what it says in the environment.
    ///
    /// # Errors
    /// A sentence for the user: no scheduler said so, more than one did, or the parts are not counted through.
    pub fn of_scheduler(variable: impl Fn(&str) -> Option<String>) -> Result<Partition, String> {
        let found: Vec<&Scheduler> = SCHEDULERS.iter().filter(|own| variable(own.part).is_some()).collect();
        let [scheduler] = found[..] else {
            let names: Vec<&str> = if found.is_empty() { &SCHEDULERS[..] } else { &[] }
                .iter()
                .chain(found.iter().copied())
                .map(|own| own.part)
                .collect();
            let said = if found.is_empty() { "none of them is set" } else { "they do not go together" };
            return Err(format!("{}: {said}; write hash:M/N", names.join(", ")));
        };
        scheduler.partition(variable)
    }
}

/// How a scheduler tells a process which part it is.
struct Scheduler {
    /// The variable with the number of the part.
    part: &'static str,
    /// That with the number of parts.
    of: &'static str,
    first: First,
    /// That with the distance from part to part, if there may be one.
    step: Option<&'static str>,
    /// What helps where the number of parts is missing.
    cure: &'static str,
}

/// The number of the first part.
enum First {
    Is(u32),
    /// In this variable.
    In(&'static str),
}

const SCHEDULERS: [Scheduler; 3] = [
    // GitLab, and others that follow it.
    Scheduler {
        part: "CI_NODE_INDEX",
        of: "CI_NODE_TOTAL",
        first: First::Is(1),
        step: None,
        cure: "give the job `parallel: N`",
    },
    Scheduler {
        part: "SLURM_ARRAY_TASK_ID",
        of: "SLURM_ARRAY_TASK_COUNT",
        first: First::In("SLURM_ARRAY_TASK_MIN"),
        step: Some("SLURM_ARRAY_TASK_STEP"),
        cure: "use sbatch --array=1-N",
    },
    // Kubernetes tells a pod nothing about the number of completions.
    Scheduler {
        part: "JOB_COMPLETION_INDEX",
        of: "JOB_COMPLETIONS",
        first: First::Is(0),
        step: None,
        cure: "set it in the Job to the number of its completions",
    },
];

impl Scheduler {
    fn partition(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Partition, String> {
        let number = |name: &str| {
            let text = variable(name).ok_or_else(|| format!("{name} is not set; {}", self.cure))?;
            text.trim().parse::<u32>().map_err(|_| format!("{name} is \"{text}\", and no number; {}", self.cure))
        };
        let (part, of) = (number(self.part)?, number(self.of)?);
        let first = match self.first {
            First::Is(first) => first,
            First::In(name) => number(name)?,
        };
        let step = self.step.filter(|name| variable(name).is_some()).map_or(Ok(1), number)?.max(1);
        let place = part.checked_sub(first).filter(|distance| distance % step == 0).map(|distance| distance / step);
        let no_row = || format!("{} {part} is none of {of} in a row from {first}; {}", self.part, self.cure);
        place.filter(|place| *place < of).ok_or_else(no_row).and_then(|place| Partition::new(place + 1, of))
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Partition, String> {
        let numbers = text.strip_prefix(HASH).and_then(|rest| rest.split_once('/'));
        let parsed = numbers.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        let (part, of) = parsed.ok_or("write hash:M/N, such as hash:1/8, or auto")?;
        Partition::new(part, of)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of {}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_falls_to_one_part_and_the_parts_are_about_as_large() {
        for of in [1, 2, 3, 8, 16] {
            let mut sizes = vec![0; of as usize];
            for number in 0..8000 {
                let id = format!("matrix[publish_qos={},subscribe_qos={}]", number % 89, number / 89);
                let parts: Vec<u32> = (1..=of).filter(|part| Partition { part: *part, of }.has(&id)).collect();
                let [part] = parts[..] else { panic!("{id}: {parts:?}") };
                sizes[part as usize - 1] += 1;
            }
            let mean = 8000 / of as i32;
            assert!(sizes.iter().all(|size| (*size - mean).abs() * 5 < mean), "{of}: {sizes:?}");
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        assert_eq!("hash:3/8".parse(), Ok(Partition { part: 3, of: 8 }));
        for text in ["hash:0/8", "hash:9/8", "hash:1/0", "slice:1/2", "1/2", "hash:1", "hash:a/b", "hash:1/10001", ""] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
    }

    fn scheduled(variables: &[(&str, &str)]) -> Result<Partition, String> {
        Partition::of_scheduler(|name| {
            variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_scheduler_says_which_part() {
        let slurm = |id, count, min, step| {
            scheduled(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_STEP", step),
            ])
        };
        assert_eq!(scheduled(&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")]), Ok(Partition { part: 2, of: 4 }));
        assert_eq!(
            scheduled(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "8")]),
            Ok(Partition { part: 1, of: 8 })
        );
        assert_eq!(slurm("7", "8", "0", "1"), Ok(Partition { part: 8, of: 8 }));
        assert_eq!(slurm("5", "3", "1", "2"), Ok(Partition { part: 3, of: 3 }));
        // `--array=1,5,7` has 3 tasks that are in no row.
        let refusal = slurm("5", "3", "1", "1").unwrap_err();
        assert!(refusal.contains("is none of 3 in a row from 1; use sbatch --array=1-N"), "{refusal}");
        for (variables, said) in [
            (&[][..], "none of them is set; write hash:M/N"),
            (&[("CI_NODE_INDEX", "1"), ("SLURM_ARRAY_TASK_ID", "1")], "they do not go together"),
            (&[("JOB_COMPLETION_INDEX", "3")], "JOB_COMPLETIONS is not set; set it in the Job to the number"),
            (&[("CI_NODE_INDEX", "x"), ("CI_NODE_TOTAL", "4")], "\"x\", and no number; give the job `parallel: N`"),
            (&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")], "is none of 4 in a row from 1"),
        ] {
            let refusal = scheduled(variables).unwrap_err();
            assert!(refusal.contains(said), "{refusal}");
        }
    }
}
