//! When a delivery is tried again.

/// Seconds after the first failure, the second, and so on; after the last one it is dead.
pub const DELAYS_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Microseconds until the next attempt after `attempts` have failed, spread by up to 20 % so that
/// many failures at once do not come back at once; `None`: there is no next one.
#[must_use]
pub fn next_delay_us(attempts: usize, random: u8) -> Option<i64> {
    let delay = attempts
        .checked_sub(1)
        .and_then(|place| DELAYS_S.get(place))?;
    let spread = delay * 1_000_000 / 5 * i64::from(random) / 255;
    Some(delay * 1_000_000 + spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_are_made_and_then_it_is_dead() {
        assert_eq!(next_delay_us(1, 0), Some(5_000_000));
        assert_eq!(next_delay_us(1, 255), Some(6_000_000));
        assert_eq!(next_delay_us(9, 0), Some(86_400_000_000));
        assert_eq!(next_delay_us(10, 0), None);
    }
}
