use super::*;
fn env(e: &serde_json::Value) -> Stub {
    match e.as_str() {
        Some("S") => Stub::supabase(),
        Some(_) => Stub::default().var("KEY","k").file("/run/empty","\n").file("/run/two-lines","hunter2\nx\n").file("/run/binary",[255]),
        None => e.as_object().unwrap().iter().fold(Stub::default(), |s,(k,v)| s.var(k, v.as_str().unwrap())),
    }.var("EMPTY","").var("FPS","x")
}
#[test]
fn gen_cases() {
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read("/tmp/cases.json").unwrap()).unwrap();
    let mut out = vec![];
    for c in cases.as_array().unwrap() {
        let text = c[2].as_str().unwrap();
        let got = match parse("cameras.yaml", text, &env(&c[1])) { Ok(_) => "LOADS".to_string(), Err(f) => f.to_string() };
        println!("{}--- {text:?} {}\n{got}", c[0].as_str().unwrap(), c[1]);
        out.push(serde_json::json!([c[0],c[1],c[2],got]));
    }
    std::fs::write("/tmp/out.json", serde_json::to_vec(&out).unwrap()).unwrap();
}
