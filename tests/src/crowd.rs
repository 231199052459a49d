//! Many tunnels, as text for the configuration file.

/// So many tunnels, named `c0`, `c1`, ..., to remotes in 10.64.0.0/10; `options` are lines that each of them has.
pub fn crowd(count: usize, options: &str) -> String {
    let one = |number: usize| {
        let (high, middle, low) = (64 + number / 62_500, number / 250 % 250, number % 250 + 1);
        format!(
            "\n[[tunnel]]\nname = \"c{number}\"\nremote-address = \"10.{high}.{middle}.{low}\"\n{options}"
        )
    };
    (0..count).map(one).collect()
}

/// How many there are in a test: `IPIP_TUNNELS`, or what the test can afford.
pub fn size(affordable: usize) -> usize {
    std::env::var("IPIP_TUNNELS").ok().and_then(|text| text.parse().ok()).unwrap_or(affordable)
}
