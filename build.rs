//! Packs and recorded hosts are inside the program: a new file among them makes a new program.

fn main() {
    println!("cargo::rerun-if-changed=checks");
    println!("cargo::rerun-if-changed=tests/hosts");
}
