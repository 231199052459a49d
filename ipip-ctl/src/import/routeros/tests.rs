use crate::import::tests::told;

#[test]
fn a_name_that_cannot_be_costs_its_own_line() {
    let text = "/interface ipip\nadd name=\"a,b\" remote-address=10.0.0.1\nadd name=good remote-address=10.0.0.2\n\
                add name=\"x=y\" remote-address=10.0.0.3\nadd name=7 remote-address=10.0.0.4\n\
                add name=\"to Berlin\" remote-address=10.0.0.5\nset [ find name=\"a,b\" ] mtu=1400\n";
    let (tunnels, problems) = told(text);
    assert_eq!(tunnels, ["name=good kind=ipip remote-address=10.0.0.2"]);
    let expected = [(2, "name `a,b`: `,`"), (4, "name `x=y`"), (5, "name `7`"), (6, "name `to Berlin`")];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for ((line, why), (at, words)) in problems.iter().zip(expected) {
        assert!(*line == at && why.contains(words) && why.contains("choose another name"), "{why}");
    }
}
