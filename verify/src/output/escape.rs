//! Text from outside, made harmless: a bundle must not be able to write on the auditor's terminal.

/// The text with every character shown that would not show itself: control characters, line
/// breaks, and those that reorder, hide or join what stands around them.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_tricky(c) {
            shown.extend(c.escape_unicode())
        } else {
            shown.push(c)
        }
    }
    shown
}

fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_would_move_the_cursor_or_turn_the_text_is_shown() {
        assert_eq!(escaped("\u{1b}[2J\n"), "\\u{1b}[2J\\u{a}");
        assert_eq!(escaped("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        assert_eq!(escaped("Zoë `x`"), "Zoë `x`");
    }
}
