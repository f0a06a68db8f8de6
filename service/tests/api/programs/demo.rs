//! `tally-serve --demo`.

use crate::support::{ServeProcess, program};

#[test]
fn the_demo_says_that_it_is_simulated_and_serves_predictions() {
    let mut command = program("tally-serve", "");
    command.env_remove("TALLY_DATABASE");
    command.args(["--demo", "--demo-customers", "600", "--listen", "127.0.0.1:0"]);
    let mut process = ServeProcess::spawn(command);
    assert!(process.banner.contains("600 customers are simulated"), "{}", process.banner);
    // The other programs are beside it.
    assert!(!process.banner.contains("cargo"), "{}", process.banner);
    for (target, most) in [("churn", 1.0), ("lead", 0.95)] {
        let lines = process.cli(&["--json", "predictions", target, "--limit", "3"]);
        assert_eq!(lines.lines().count(), 3, "{lines}");
        for line in lines.lines() {
            let prediction: serde_json::Value = serde_json::from_str(line).unwrap();
            let [lower, probability, upper] =
                ["lower", "probability", "upper"].map(|name| prediction[name].as_f64().unwrap());
            assert!(0.0 < lower && lower <= probability && probability <= upper && upper < 1.0, "{line}");
            // How sure the churn model is of customers who left long ago depends on the day: the demo ends at the
            // last midnight.
            assert!(probability < most, "{line}");
            assert_eq!(prediction["reasons"].as_array().unwrap().len(), 3);
        }
    }
    // The customer that it names is likely to leave, and has not yet.
    let hint = process.banner.lines().find(|line| line.contains(" insights customer ")).unwrap();
    let id = hint.split(" insights customer ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let customer = process.cli(&["--json", "insights", "customer", id]);
    let customer: serde_json::Value = serde_json::from_str(&customer).unwrap();
    assert_ne!(customer["life_cycle"], "lost", "{customer}");
    assert!(customer["churn_score"]["probability"].as_f64() > Some(0.5), "{customer}");
    let effect = process.cli(&["--json", "worklist", "effect", "win_back"]);
    let effect: serde_json::Value = serde_json::from_str(&effect).unwrap();
    let all = &effect["rows"][0];
    assert!(all["treated"].as_i64() > Some(10) && all["held_out"].as_i64() > Some(0), "{all}");
    assert!(all["lower"].as_f64() < all["effect"].as_f64() && all["effect"].as_f64() < all["upper"].as_f64());
    assert!(process.terminate().success());
}
