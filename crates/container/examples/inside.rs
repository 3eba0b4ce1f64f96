//! The inside of a container alone, as `masque` runs it: the tests mount it in place of `masque`.

fn main() -> Result<(), masque_container::Error> {
    masque_container::inside::run()
}
