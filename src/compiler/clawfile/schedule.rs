//! Five cron fields: what a field may hold.

/// Names, least and most value of each field.
const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7)];

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Checks a schedule.
///
/// # Errors
/// Where it is none: why, in words.
pub fn check(schedule: &str) -> Result<(), String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("it has {} fields instead of 5", fields.len()));
    }
    for (index, field) in fields.iter().enumerate() {
        for item in field.split(',') {
            check_item(item, index).map_err(|why| format!("`{item}` as {}: {why}", FIELDS[index].0))?;
        }
    }
    Ok(())
}

fn check_item(item: &str, index: usize) -> Result<(), String> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(step)),
        None => (item, None),
    };
    if let Some(step) = step
        && digits(step).is_none_or(|step| step == 0)
    {
        return Err("a step is a number from 1".to_owned());
    }
    let is_day = matches!(index, 2 | 4);
    if base == "*" || (is_day && base == "?") || (is_day && base == "L") {
        return Ok(());
    }
    if step.is_some() && !base.contains('-') {
        return Err("a step follows `*` or a range".to_owned());
    }
    let base = if is_day { base.trim_end_matches(['L', 'W']) } else { base };
    if index == 4
        && let Some((day, nth)) = base.split_once('#')
    {
        value(day, index)?;
        return if matches!(nth, "1" | "2" | "3" | "4" | "5") { Ok(()) } else { Err("`#` takes 1 to 5".to_owned()) };
    }
    match base.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (value(first, index)?, value(last, index)?);
            if first > last { Err("the range ends before it starts".to_owned()) } else { Ok(()) }
        }
        None => value(base, index).map(|_| ()),
    }
}

/// Returns the number of digits; a sign is none.
fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn value(text: &str, index: usize) -> Result<u32, String> {
    let (_, least, most) = FIELDS[index];
    let lower = text.to_ascii_lowercase();
    let named = match index {
        3 => MONTHS.iter().position(|name| *name == lower).map(|at| at + 1),
        4 => DAYS.iter().position(|name| *name == lower),
        _ => None,
    };
    let number = named.and_then(|at| u32::try_from(at).ok()).or_else(|| digits(text));
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        Some(_) => Err(format!("it goes from {least} to {most}")),
        None => Err("it is no number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules_that_are_some_and_that_are_none() {
        for good in
            ["* * * * *", "*/5 0-6 1,15 jan-mar mon", "0 9 L * 5#2", "0 0 ? * 7", "0 0 15W * *", "5-20/3 * * * *"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "5/10 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "5-1 * * * *",
            "H * * * *",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
