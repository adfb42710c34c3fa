//! The common parts of the command lines of `uncloud` and `uncloud-worker`: settings from files and the environment,
//! stdout, exit codes, completion and man pages. Independent of the provider's domain.

mod end;
mod env_file;
mod exit;
mod generate;
mod secret_file;
mod settings;
mod stdout;
mod usage;
mod values;

pub use end::end;
pub use exit::{Exit, Failure};
pub use generate::{CompletionArgs, ManArgs};
pub use secret_file::{read_secret, secret_or_file};
pub use settings::command_with_settings;
pub use stdout::{can_overwrite, print, say, width};
pub use usage::parsed;
pub use values::{address, number, object, switch, time};
