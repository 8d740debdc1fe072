//! What the answer looks like. Renderers take a report and give text; they decide nothing.

pub mod escape;
pub mod html;
pub mod human;
pub mod json;
pub mod quorum;
