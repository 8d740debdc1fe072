//! Documents of other generators: JSON 1.3 to 1.7, XML 1.3 to 1.5, and what is not read.

use sbom::read::{ReadError, Scope, parse};

pub(crate) fn json(version: &str) -> String {
    format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"{version}","version":1,
        "metadata":{{"component":{{"type":"application","bom-ref":"app","name":"app","version":"1.0.0"}}}},
        "components":[
          {{"type":"library","bom-ref":"leaf","name":"leaf","version":"1.0.0","purl":"pkg:cargo/leaf@1.0.0",
            "scope":"required","hashes":[{{"alg":"SHA-256","content":"BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}],
            "components":[{{"type":"library","name":"inner","version":"0.1.0"}}]}}],
        "dependencies":[{{"ref":"app","dependsOn":["leaf"]}},{{"ref":"leaf"}}]}}"#
    )
}

pub(crate) fn xml(version: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/{version}" version="1">
  <metadata><component type="application" bom-ref="app"><name>app</name><version>1.0.0</version></component></metadata>
  <components>
    <component type="library" bom-ref="leaf"><name>leaf</name><version>1.0.0</version><scope>required</scope>
      <hashes><hash alg="SHA-256">ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad</hash></hashes>
      <purl>pkg:cargo/leaf@1.0.0</purl>
      <components><component type="library"><name>inner</name><version>0.1.0</version></component></components>
    </component>
  </components>
  <dependencies><dependency ref="app"><dependency ref="leaf"/></dependency><dependency ref="leaf"/></dependencies>
</bom>"#
    )
}

fn check(document: &str, version: &str) {
    let sbom = parse(document.as_bytes()).unwrap_or_else(|error| panic!("{version}: {error:?}"));
    assert_eq!(sbom.spec_version, version);
    assert_eq!(sbom.subject.as_ref().unwrap().name, "app");
    let names: Vec<&str> = sbom.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["leaf", "inner"], "nested components count");
    let leaf = &sbom.components[0];
    assert!(leaf.is_crate());
    assert_eq!(leaf.scope, Some(Scope::Required));
    assert!(
        leaf.hashes["SHA-256"]
            .iter()
            .all(|hash| hash.starts_with("ba7816bf"))
    );
    assert!(sbom.dependencies["app"].contains("leaf"));
    assert!(sbom.dangling.is_empty());
}

#[test]
fn json_from_1_3_to_1_7_is_read() {
    for version in ["1.3", "1.4", "1.5", "1.6", "1.7"] {
        check(&json(version), version);
    }
}

#[test]
fn xml_from_1_3_to_1_5_is_read_like_its_json() {
    for version in ["1.3", "1.4", "1.5"] {
        check(&xml(version), version);
        assert_eq!(
            parse(xml(version).as_bytes()).unwrap().components,
            parse(json(version).as_bytes()).unwrap().components
        );
    }
}

#[test]
fn other_versions_are_refused_by_number() {
    for document in [json("1.2"), json("1.8"), json(""), xml("1.6"), xml("1.2")] {
        assert!(matches!(
            parse(document.as_bytes()),
            Err(ReadError::Version { .. })
        ));
    }
}

#[test]
fn what_is_no_cyclonedx_is_refused() {
    assert!(matches!(
        parse(b"{\"spdxVersion\":\"SPDX-2.3\"}"),
        Err(ReadError::NotCycloneDx)
    ));
    assert!(matches!(
        parse(b"plain text"),
        Err(ReadError::UnknownEncoding)
    ));
    assert!(matches!(parse(b""), Err(ReadError::UnknownEncoding)));
    assert!(parse(b"<bom/>").is_err());
    let shape = json("1.6").replace("\"components\":[\n", "\"components\":[7,\n");
    assert!(matches!(parse(shape.as_bytes()), Err(ReadError::Shape(_))));
}

#[test]
fn a_reference_given_twice_and_a_name_given_twice_are_refused() {
    let twice = json("1.6").replace("\"bom-ref\":\"leaf\"", "\"bom-ref\":\"app\"");
    assert!(matches!(
        parse(twice.as_bytes()),
        Err(ReadError::DuplicateReference { .. })
    ));
    let name = json("1.6").replace(
        "\"scope\":\"required\"",
        "\"scope\":\"required\",\"scope\":\"excluded\"",
    );
    assert!(matches!(parse(name.as_bytes()), Err(ReadError::Json(_))));
}

#[test]
fn a_reference_to_nothing_is_reported() {
    let dangling = json("1.6").replace("[\"leaf\"]", "[\"leaf\",\"ghost\"]");
    assert!(
        parse(dangling.as_bytes())
            .unwrap()
            .dangling
            .contains("ghost")
    );
}

#[test]
fn nesting_without_end_is_refused() {
    let mut inner = r#"{"type":"library","name":"x"}"#.to_owned();
    for _ in 0..40 {
        inner = format!(r#"{{"type":"library","name":"x","components":[{inner}]}}"#);
    }
    let document =
        format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{inner}]}}"#);
    assert!(matches!(
        parse(document.as_bytes()),
        Err(ReadError::Nesting)
    ));
}

#[test]
fn entities_in_xml_do_not_grow() {
    let bomb = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE bom [<!ENTITY a \"{}\"><!ENTITY b \"{}\"><!ENTITY c \"{}\">]>{}",
        "x".repeat(1000),
        "&a;".repeat(1000),
        "&b;".repeat(1000),
        xml("1.5")
            .replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "")
            .replace("<name>leaf", "<name>&c;leaf")
    );
    assert!(parse(bomb.as_bytes()).is_err());
}
