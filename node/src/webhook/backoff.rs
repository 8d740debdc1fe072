//! When a delivery is tried again.

use std::str::FromStr;

/// Seconds after the first failure, the second, and so on; after the last one it is dead.
pub const DELAYS_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest wait that can be set: a week.
const LONGEST_S: i64 = 7 * 86_400;
/// The most attempts that can be set.
const MOST: usize = 100;

/// The waits between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    delays_s: Vec<i64>,
}

/// The text is no list of waits.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no list of 1 to {MOST} waits of 0 to {LONGEST_S} seconds, such as `5,300,1800`")]
pub struct NotASchedule(String);

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            delays_s: DELAYS_S.to_vec(),
        }
    }
}

impl FromStr for RetrySchedule {
    type Err = NotASchedule;

    fn from_str(text: &str) -> Result<Self, NotASchedule> {
        let wrong = || NotASchedule(text.chars().take(64).collect());
        let delays_s = text
            .split(',')
            .map(|delay| delay.trim().parse().map_err(|_| wrong()))
            .collect::<Result<Vec<i64>, _>>()?;
        let fits = delays_s.iter().all(|delay| (0..=LONGEST_S).contains(delay));
        if !fits || delays_s.len() > MOST {
            return Err(wrong());
        }
        Ok(Self { delays_s })
    }
}

impl RetrySchedule {
    /// Microseconds until the next attempt after `attempts` have failed, spread by up to 20 % so
    /// that many failures at once do not come back at once; `None`: there is no next one.
    #[must_use]
    pub fn next_delay_us(&self, attempts: usize, random: u8) -> Option<i64> {
        let delay = attempts
            .checked_sub(1)
            .and_then(|place| self.delays_s.get(place))?;
        let spread = delay * 1_000_000 / 5 * i64::from(random) / 255;
        Some(delay * 1_000_000 + spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_are_made_and_then_it_is_dead() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.next_delay_us(1, 0), Some(5_000_000));
        assert_eq!(schedule.next_delay_us(1, 255), Some(6_000_000));
        assert_eq!(schedule.next_delay_us(9, 0), Some(86_400_000_000));
        assert_eq!(schedule.next_delay_us(10, 0), None);
    }

    #[test]
    fn another_schedule_is_read_and_nonsense_is_not() {
        let schedule: RetrySchedule = "0, 1,60".parse().unwrap();
        assert_eq!(schedule.next_delay_us(3, 0), Some(60_000_000));
        assert_eq!(schedule.next_delay_us(4, 0), None);
        for text in ["", "x", "5,", "-1", "604801", &"1,".repeat(200)] {
            assert!(text.parse::<RetrySchedule>().is_err(), "{text}");
        }
    }
}
