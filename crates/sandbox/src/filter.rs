//! Compiles a table of system calls into a program that the kernel runs at each call.
//!
//! Leaves out which calls are in the table. The program searches the number of the call in a balanced tree of ranges:
//! the kernel runs it once for every number when it is installed, so the length of its paths is a part of the time
//! that a start takes. A list of comparisons, as libraries make, costs some hundred microseconds more.

use std::collections::BTreeMap;

/// The kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

/// A compiled program.
pub(crate) type Program = Vec<Instruction>;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done.
    Allow,
    /// It fails with this error number.
    Refuse(u16),
    /// It is done if all conditions of one of the lists hold; otherwise it fails with `EPERM`.
    AllowIf(Vec<Vec<Condition>>),
}

/// A condition on the lower half of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Which argument, from 0 on.
    pub(crate) argument: u8,
    /// The bits that count.
    pub(crate) mask: u32,
    /// What is compared with.
    pub(crate) value: u32,
    /// Whether they must be equal, or must not.
    pub(crate) equal: bool,
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Where the kernel's `struct seccomp_data` has its fields. All supported processors are little-endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

#[cfg(target_arch = "x86_64")]
const THIS_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const THIS_ARCHITECTURE: u32 = 0xc000_00b7;

/// A program for a table; calls that are not in it fail with `EPERM`.
pub(crate) fn compile(table: &BTreeMap<u32, Verdict>) -> Program {
    let mut program = vec![
        plain(LOAD, ARCHITECTURE),
        Instruction { code: IF_EQUAL, if_true: 1, if_false: 0, value: THIS_ARCHITECTURE },
        plain(RETURN, KILL_PROCESS),
        plain(LOAD, NUMBER),
    ];
    program.extend(tree(&ranges(table)));
    program
}

/// The table without gaps: where each range begins, and its verdict.
fn ranges(table: &BTreeMap<u32, Verdict>) -> Vec<(u32, Verdict)> {
    let refuse = Verdict::Refuse(libc::EPERM as u16);
    let mut ranges = vec![(0, refuse.clone())];
    let mut add = |from: u32, verdict: Verdict| match ranges.last_mut() {
        Some((begin, last)) if *begin == from => *last = verdict,
        Some((_, last)) if *last == verdict => {}
        _ => ranges.push((from, verdict)),
    };
    for (number, verdict) in table {
        add(*number, verdict.clone());
        if !table.contains_key(&(number + 1)) {
            add(number + 1, refuse.clone());
        }
    }
    ranges
}

fn tree(ranges: &[(u32, Verdict)]) -> Program {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    match (lower, upper) {
        ([], []) => Vec::new(),
        ([], [(_, verdict), ..]) => leaf(verdict),
        (lower, [(middle, _), ..]) => {
            let below = tree(lower);
            let jump = plain(JUMP, below.len() as u32);
            let mut program = vec![Instruction { code: IF_AT_LEAST, if_true: 0, if_false: 1, value: *middle }, jump];
            program.extend(below);
            program.extend(tree(upper));
            program
        }
        (lower, []) => tree(lower),
    }
}

fn leaf(verdict: &Verdict) -> Program {
    match verdict {
        Verdict::Allow => vec![plain(RETURN, ALLOW)],
        Verdict::Refuse(error) => vec![plain(RETURN, ERROR | u32::from(*error))],
        Verdict::AllowIf(alternatives) => {
            let mut program: Program = alternatives.iter().flat_map(|conditions| alternative(conditions)).collect();
            program.push(plain(RETURN, ERROR | libc::EPERM as u32));
            program
        }
    }
}

/// Returns if all conditions hold, and goes on after itself otherwise.
fn alternative(conditions: &[Condition]) -> Program {
    // From the end on, since each condition jumps over what follows it.
    let mut program = vec![plain(RETURN, ALLOW)];
    for condition in conditions.iter().rev() {
        let behind = u8::try_from(program.len()).unwrap_or(u8::MAX);
        let (if_true, if_false) = if condition.equal { (0, behind) } else { (behind, 0) };
        let mut checked = vec![
            plain(LOAD, ARGUMENTS + 8 * u32::from(condition.argument)),
            plain(AND, condition.mask),
            Instruction { code: IF_EQUAL, if_true, if_false, value: condition.value },
        ];
        checked.append(&mut program);
        program = checked;
    }
    program
}

fn plain(code: u16, value: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, value }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{
        ALLOW, AND, Condition, ERROR, IF_AT_LEAST, IF_EQUAL, Instruction, JUMP, KILL_PROCESS, LOAD, RETURN,
        THIS_ARCHITECTURE, Verdict, compile,
    };
    use proptest::prelude::*;

    /// Runs a program as the kernel does. Returns the answer and the number of steps.
    pub(crate) fn interpret(
        program: &[Instruction],
        architecture: u32,
        number: u32,
        arguments: [u64; 6],
    ) -> (u32, usize) {
        let mut data = [number.to_le_bytes(), architecture.to_le_bytes(), [0; 4], [0; 4]].concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut accumulator, mut at) = (0_u32, 0);
        for steps in 1.. {
            let Instruction { code, if_true, if_false, value } = program[at];
            at += 1;
            let jump = |holds| usize::from(if holds { if_true } else { if_false });
            match code {
                LOAD => accumulator = u32::from_le_bytes(data[value as usize..][..4].try_into().unwrap()),
                AND => accumulator &= value,
                JUMP => at += value as usize,
                IF_EQUAL => at += jump(accumulator == value),
                IF_AT_LEAST => at += jump(accumulator >= value),
                RETURN => return (value, steps),
                other => panic!("instruction {other}"),
            }
        }
        unreachable!()
    }

    fn expected(verdict: Option<&Verdict>, arguments: [u64; 6]) -> u32 {
        let holds = |condition: &Condition| {
            let seen = arguments[usize::from(condition.argument)] as u32 & condition.mask;
            (seen == condition.value) == condition.equal
        };
        match verdict {
            Some(Verdict::Allow) => ALLOW,
            Some(Verdict::Refuse(error)) => ERROR | u32::from(*error),
            Some(Verdict::AllowIf(lists)) if lists.iter().any(|list| list.iter().all(holds)) => ALLOW,
            None | Some(Verdict::AllowIf(_)) => ERROR | libc::EPERM as u32,
        }
    }

    fn verdicts() -> impl Strategy<Value = Verdict> {
        let condition = (0..3_u8, prop_oneof![Just(u32::MAX), Just(7)], 0..4_u32, any::<bool>())
            .prop_map(|(argument, mask, value, equal)| Condition { argument, mask, value, equal });
        prop_oneof![
            3 => Just(Verdict::Allow),
            1 => Just(Verdict::Refuse(38)),
            1 => prop::collection::vec(prop::collection::vec(condition, 1..4), 1..9).prop_map(Verdict::AllowIf),
        ]
    }

    proptest! {
        #[test]
        fn programs_answer_as_their_table_says(
            table in prop::collection::btree_map(0..60_u32, verdicts(), 0..50),
            arguments in prop::array::uniform6(prop_oneof![0..6_u64, Just(u64::MAX), Just(1 << 32)]),
        ) {
            let program = compile(&table);
            for number in (0..64).chain([0x4000_0000, u32::MAX]) {
                let (answer, _) = interpret(&program, THIS_ARCHITECTURE, number, arguments);
                prop_assert_eq!(answer, expected(table.get(&number), arguments), "call {}", number);
                let (foreign, _) = interpret(&program, 0x4000_0003, number, arguments);
                prop_assert_eq!(foreign, KILL_PROCESS);
            }
        }
    }
}
