//! Building what is released, hermetically, by one recipe under two engines.
