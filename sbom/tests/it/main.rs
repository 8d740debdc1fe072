//! Tests of what `sbom` promises, through its public door.
