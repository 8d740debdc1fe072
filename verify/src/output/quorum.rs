//! The table of a quorum for people: signers down, artifacts across, and below it why a cell is what
//! it is. Conflicts show both digests, `−` as shipped and `+` as rebuilt.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::escape::escaped;
use crate::quorum::{Cell, Quorum, Row};

/// The table as text, each line with its line feed; empty where nobody said anything.
#[must_use]
pub fn table(quorum: &Quorum) -> String {
    let artifacts: Vec<&str> = quorum.agreeing.keys().map(String::as_str).collect();
    let mut lines = vec![heads(&artifacts)];
    lines.extend(quorum.rows.iter().map(|row| cells(row, &artifacts)));
    let columns = artifacts.len() + 2;
    let widths: Vec<usize> = (0..columns)
        .map(|column| widest(&lines, column) + 2)
        .collect();
    if quorum.rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n");
    for line in &lines {
        let padded: String = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        put(&mut text, padded.trim_end());
    }
    let why: BTreeSet<String> = quorum.rows.iter().flat_map(reasons).collect();
    if !why.is_empty() {
        text.push('\n');
    }
    why.iter().for_each(|line| put(&mut text, line));
    text
}

fn heads(artifacts: &[&str]) -> Vec<String> {
    let mut line = vec![String::from("signer")];
    line.extend(artifacts.iter().map(|artifact| escaped(artifact)));
    line.push(String::from("file"));
    line
}

fn cells(row: &Row, artifacts: &[&str]) -> Vec<String> {
    let mut line = vec![escaped(&row.signer)];
    line.extend(artifacts.iter().map(|artifact| {
        let cell = row.artifacts.get(*artifact).unwrap_or(&Cell::Missing);
        cell.word().to_owned()
    }));
    line.push(escaped(&row.file));
    line
}

fn widest(lines: &[Vec<String>], column: usize) -> usize {
    let widths = lines.iter().map(|line| line[column].chars().count());
    widths.max().unwrap_or_default()
}

fn reasons(row: &Row) -> Vec<String> {
    let told = |artifact: &str, cell: &Cell| match cell {
        Cell::Mismatch { shipped, rebuilt } => Some(format!(
            "{} by {}\n  −{shipped}\n  +{rebuilt}",
            escaped(artifact),
            escaped(&row.signer)
        )),
        Cell::Bad { reason } => Some(format!("{}: {}", escaped(&row.file), escaped(reason))),
        _ => None,
    };
    row.artifacts
        .iter()
        .filter_map(|(artifact, cell)| told(artifact, cell))
        .collect()
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}
