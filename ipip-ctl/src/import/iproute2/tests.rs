use crate::import::tests::{import, told};
use crate::import::{Format, Import};

#[test]
fn what_is_commented_out_makes_no_tunnel() {
    let text = "# ip tunnel add old mode ipip remote 192.0.2.9\n#ip link add older type ipip remote 192.0.2.8\n\
                $ ip tunnel add new mode ipip remote 192.0.2.7 # local 192.0.2.1\n";
    let (tunnels, problems) = told(text);
    assert_eq!(problems, []);
    assert_eq!(tunnels.len(), 1, "{tunnels:?}");
    assert!(tunnels[0].starts_with("name=new kind=ipip remote-address=192.0.2.7 "), "{tunnels:?}");
    assert_eq!(import("# ip tunnel add old mode ipip remote 192.0.2.9", Format::Ip), Import::default());
}
