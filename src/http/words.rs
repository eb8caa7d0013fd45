//! Words that fields of answers may have, for the OpenAPI document: generators of clients make types of them.
//!
//! They are the same in every version. Causes are not among them: of these there may come more.

use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub const PHASES: &[&str] = &["idle", "starting", "live", "stopping", "waiting"];
pub const VERDICTS: &[&str] = &["ok", "idle", "starting", "degraded", "down"];
pub const MODES: &[&str] = &["copy", "transcode"];

/// Types that stand for words in the document alone.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $words:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
                text.enum_values(Some($words.iter().copied())).into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    Phase: PHASES;
    Verdict: VERDICTS;
    Mode: MODES;
    /// The worst verdict of all that should run.
    Overall: ["ok", "degraded", "down"];
    /// What a caller learns of a stream that is wanted.
    Wanted: ["starting", "running"];
    /// What the older form of the API says of a stream.
    Held: ["running", "starting", "stopped", "error"];
}
