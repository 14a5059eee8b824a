//! What is found in the labelled texts of `testdata/scan`, and that no text is too much.

mod corpus;
mod texts;
