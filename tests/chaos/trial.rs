//! A scenario that fails costs its row, not the others.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::report::Row;

/// A panic becomes a row.
pub async fn attempt<T>(name: &str, scenario: impl Future<Output = T>) -> Result<T, Row> {
    let result = AssertUnwindSafe(Box::pin(scenario)).catch_unwind().await;
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        failed(name, vec![text.to_owned()])
    })
}

pub fn failed(name: &str, problems: Vec<String>) -> Row {
    Row { fault: name.into(), problems, ..Row::default() }
}
