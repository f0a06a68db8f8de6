//! Models that cannot be right are not promoted, and say why.

use prost_types::value::Kind;
use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tonic::Code;

use super::{
    NOW, promote, promotions,
    subscribers::{SEEING, store_subscribers},
};
use crate::support::{
    Tally, assert_refused, business, customer, has_kind, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    a_silence_before_the_training_blocks_promotion_unless_it_is_forced,
    a_feed_of_purchases_that_ends_blocks_promotion,
    an_attribute_that_the_outcome_fills_in_blocks_promotion,
    two_attributes_that_tell_the_outcome_are_remarked,
    a_status_of_today_blocks_promotion_of_churn,
    a_model_of_noise_is_no_better_than_the_base_rate,
    a_shift_that_turns_the_slopes_round_leaves_no_champion,
    a_population_unlike_the_snapshots_is_remarked,
    names_that_do_not_occur_are_remarked,
    no_snapshots_are_explained_by_what_is_stored,
    a_one_sided_outcome_is_explained,
    the_holdout_is_divided_by_an_attribute,
);

/// Runs a training that must end with this exit code. Returns what it prints on both streams.
fn train(tally: &Tally, arguments: &[&str], code: i32) -> String {
    let output = tally.try_train(arguments);
    let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(output.status.code(), Some(code), "{shown}");
    shown
}

fn check<'a>(card: &'a v1::Model, code: &str) -> Option<&'a v1::FailedCheck> {
    card.failed_checks.iter().find(|check| check.code == code)
}

/// The warning of a population run.
async fn warning(tally: &Tally, as_of: &str) -> String {
    let request = v1::ScorePopulationRequest {
        target: v1::Target::Churn.into(),
        as_of_time: Some(timestamp(time(as_of))),
        ..Default::default()
    };
    let mut replies = tally.predictions().score_population(request).await.unwrap().into_inner();
    let mut last = v1::ScorePopulationResponse::default();
    while let Some(reply) = replies.message().await.unwrap() {
        assert_eq!(last.warning, "", "only the last message warns");
        last = reply;
    }
    last.warning
}

async fn a_silence_before_the_training_blocks_promotion_unless_it_is_forced(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    let shown = train(&tally, &["churn", "--as-of", "2024-12-20"], 2);
    let remedy = "did you mean `--as-of 2024-05-31T23:59:59Z`";
    for words in [
        "not fit to serve (SILENCE)",
        remedy,
        "churn/1 stored, does not serve: there was no champion; it fails the check SILENCE",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let card = tally.card("churn/1").await;
    let silence = check(&card, "SILENCE").unwrap();
    assert!(silence.blocking && silence.remedy.contains(remedy), "{silence:?}");
    assert!(silence.message.contains("no interaction in the 203 days"), "{silence:?}");
    let refused = promote(&tally, "churn/1", false).await;
    let message = refused.as_ref().unwrap_err().message();
    assert!(message.contains("fails the check SILENCE") && message.contains(remedy), "{message}");
    assert_refused(refused, Code::FailedPrecondition, "FAILED_CHECK", &[]);

    train(&tally, &["churn", "--as-of", "2024-12-20", "--promote", "always"], 0);
    let audited = promotions(&mut tally.models()).await;
    assert!(audited.len() == 1 && audited[0].forced, "{audited:?}");
    assert!(audited[0].gate_result.contains("; it fails the check SILENCE: "), "{audited:?}");

    let warned = warning(&tally, "2024-12-20").await;
    assert!(warned.contains(remedy) && warned.contains("stored, but not listed"), "{warned}");
    assert_eq!(tally.latest_predictions(v1::Target::Churn).await, [], "everybody looks gone");
    // Nor is a list of that moment of any use, and what is handed out cannot be taken back.
    for (as_of, is_silent) in [("2024-12-20", true), (NOW, false)] {
        let as_of_time = Some(timestamp(time(as_of)));
        let list = v1::ListWorklistRequest { as_of_time, ..Default::default() };
        let listed = tally.insights().list_worklist(list).await.unwrap().into_inner().warnings;
        let publish = v1::PublishWorklistRequest { as_of_time, ..Default::default() };
        let published = tally.insights().publish_worklist(publish).await.unwrap().into_inner().warnings;
        for warnings in [listed, published] {
            let silent = warnings.iter().filter(|warning| warning.contains(remedy)).count();
            assert_eq!(silent, usize::from(is_silent), "{as_of}: {warnings:?}");
        }
    }
    assert_eq!(warning(&tally, NOW).await, "");
    assert!(!tally.latest_predictions(v1::Target::Churn).await.is_empty());
    // Nothing is stored of most of the horizon of the last predictions.
    let request =
        v1::GetRealisedPerformanceRequest { target: v1::Target::Churn.into(), ..Default::default() };
    let months = tally.models().get_realised_performance(request).await.unwrap().into_inner().months;
    assert_eq!(months.len(), 2, "{months:?}");
    assert!(months.iter().all(|month| month.rows > 0 && month.rows_in_silence == month.rows), "{months:?}");
}

/// A number below `n` that looks random, the same in each run.
fn draw(seed: i64, n: u64) -> u64 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % n
}

/// Stores 900 leads, of whom those buy within 25 days that `buys` says. A CRM has filled in their status afterwards.
async fn store_leads(tally: &Tally, buys: fn(i64) -> bool) {
    let status = |n| if buys(n) { "Customer" } else { ["Open", "Lost"][draw(n + 5_000, 2) as usize] };
    let source = |n| if is_from_the_web(n) { "web" } else { "fair" };
    store_leads_with(tally, buys, |n| [("status", status(n)), ("source", source(n))]).await;
}

/// Stores 900 leads with these attributes, one every 12 hours.
async fn store_leads_with(
    tally: &Tally,
    buys: fn(i64) -> bool,
    attributes: impl Fn(i64) -> [(&'static str, &'static str); 2],
) {
    let (mut customers, mut interactions) = (Vec::new(), Vec::new());
    for n in 0..900_i64 {
        let created = Time(time("2023-01-01").0 + n * DAY / 2);
        let (id, at) = (format!("l{n:03}"), created.to_string());
        let attributes = attributes(n).map(|(name, text)| (name, Kind::StringValue(text.to_owned())));
        customers.push(customer(&id, &at, &attributes));
        interactions.push(interaction(&id, "visit", "visit", &at));
        if buys(n) {
            let bought = created.plus_days(1 + draw(n + 9_000, 24) as i64).to_string();
            interactions.push(interaction(&id, "bought", "purchase", &bought));
        }
    }
    tally.upsert(customers).await.unwrap();
    tally.backfill(interactions).await.unwrap();
}

fn is_from_the_web(n: i64) -> bool {
    draw(n + 20_000, 2) == 0
}

/// Leads come in for 450 days, but no purchase of a later one than the 600th is known.
async fn a_feed_of_purchases_that_ends_blocks_promotion(tally: Tally) {
    store_leads(&tally, |n| n < 600 && draw(n, 100) < if is_from_the_web(n) { 60 } else { 10 }).await;
    let spec = "[features]\nattributes = [\"source\"]";
    let shown = tally.train_with_spec("lead", spec, &["--as-of", "2024-03-20", "--promote", "never"]);
    for words in [
        "not fit to serve (SILENCE): no `purchase` interaction in the",
        "import the `purchase` interactions since",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let shown = tally.train_with_spec("lead", spec, &["--as-of", "2023-10-25", "--promote", "never"]);
    assert!(!shown.contains("SILENCE"), "{shown}");
}

/// Who has both marks buys; neither tells it alone.
async fn two_attributes_that_tell_the_outcome_are_remarked(tally: Tally) {
    fn mark(n: i64, seed: i64) -> bool {
        draw(n + seed, 2) == 0
    }
    let text = |marked| if marked { "yes" } else { "no" };
    let marks = |n| [("first", text(mark(n, 0))), ("second", text(mark(n, 40_000)))];
    store_leads_with(&tally, |n| mark(n, 0) && mark(n, 40_000), marks).await;
    let shown = tally.train_with_spec(
        "lead",
        "[lead]\nages_days = [0]",
        &["--as-of", "2024-04-01", "--promote", "never"],
    );
    assert!(shown.contains("note (TOO_ACCURATE): the AUC on the holdout is"), "{shown}");
    assert!(!shown.contains("FEATURE_PREDICTS_ALONE"), "{shown}");
}

async fn an_attribute_that_the_outcome_fills_in_blocks_promotion(tally: Tally) {
    store_leads(&tally, |n| draw(n, 100) < if is_from_the_web(n) { 60 } else { 10 }).await;
    let shown = train(&tally, &["lead", "--as-of", "2024-04-01"], 2);
    let words =
        "not fit to serve (FEATURE_PREDICTS_ALONE): attribute.status alone predicts the outcome: AUC 1.000";
    assert!(shown.contains(words) && shown.contains("attributes = [\"source\"]"), "{shown}");
    assert!(!shown.contains("attribute.source alone"), "{shown}");
    let honest = "[features]\nattributes = [\"source\"]";
    let shown = tally.train_with_spec("lead", honest, &["--as-of", "2024-04-01"]);
    assert!(shown.contains("lead/2 now serves") && !shown.contains("FEATURE_PREDICTS_ALONE"), "{shown}");
}

/// Each customer has one version of its record, which says at all times what has become of it.
async fn a_status_of_today_blocks_promotion_of_churn(tally: Tally) {
    let business = tally_model::simulate::Business { subscription: true, ..business(700, 11, time(NOW)) };
    tally.simulate(&business).await;
    let records = business.iter().map(|one| {
        let status = if has_kind(&one, "cancel") { "closed" } else { "open" };
        let attributes = [("status", Kind::StringValue(status.to_owned()))];
        customer(&one.customer_id, &one.create_time.to_string(), &attributes)
    });
    tally.upsert_backfilled(records.collect(), &["status"]).await.unwrap();
    let spec = "[churn]\nevent = \"cancel\"\nhorizon_days = 60\n";
    let arguments = ["--as-of", NOW, "--promote", "never"];
    let shown = tally.train_with_spec("churn", spec, &arguments);
    assert!(shown.contains("(FEATURE_PREDICTS_ALONE): attribute.status alone"), "{shown}");
    let shown = tally.train_with_spec("churn", "", &arguments);
    assert!(!shown.contains("FEATURE_PREDICTS_ALONE"), "who buys nothing has not always cancelled: {shown}");
}

async fn a_model_of_noise_is_no_better_than_the_base_rate(tally: Tally) {
    store_leads(&tally, |n| draw(n + 70_000, 100) < 30).await;
    let spec = "[features]\nattributes = [\"source\"]\n[lead]\nages_days = [0]";
    let shown = tally.train_with_spec("lead", spec, &["--as-of", "2024-04-01", "--promote", "never"]);
    // By chance it is a little better or a little worse.
    let found = ["not fit to serve (NO_BETTER_THAN_BASE_RATE)", "note (BARELY_BETTER_THAN_BASE_RATE)"];
    assert!(found.iter().any(|words| shown.contains(words)), "{shown}");
    assert!(shown.contains("note (FEW_FEATURES)"), "{shown}");
    assert_refused(promote(&tally, "lead/1", false).await, Code::FailedPrecondition, "FAILED_CHECK", &[]);
    let promoted = promote(&tally, "lead/1", true).await.unwrap().promotion.unwrap();
    assert!(promoted.forced && promoted.gate_result.contains("BETTER_THAN_BASE_RATE"), "{promoted:?}");
}

/// Until the holdout begins, most leads from the web buy; from then on, most of the others do.
async fn a_shift_that_turns_the_slopes_round_leaves_no_champion(tally: Tally) {
    store_leads(&tally, |n| draw(n, 100) < if is_from_the_web(n) == (n < 600) { 60 } else { 10 }).await;
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, "[features]\nattributes = [\"source\"]\n[lead]\nages_days = [0]").unwrap();
    let shown = train(&tally, &["lead", "--as-of", "2024-04-01", "--spec", spec.to_str().unwrap()], 2);
    assert!(shown.contains("lead/1 stored, does not serve: there was no champion"), "{shown}");
    assert!(shown.contains("the model is no better than the base rate"), "{shown}");
    let card = tally.card("lead/1").await;
    assert!(check(&card, "NO_BETTER_THAN_BASE_RATE").unwrap().blocking && !card.champion, "{card:?}");
    let base_rate = card.baselines.iter().find(|baseline| baseline.name == "base_rate").unwrap();
    let (own, base_rate) = (card.holdout.unwrap(), base_rate.metrics.unwrap());
    assert!(own.auc < 0.5 && own.log_loss > base_rate.log_loss, "{own:?} {base_rate:?}");
    assert_refused(promote(&tally, "lead/1", false).await, Code::FailedPrecondition, "FAILED_CHECK", &[]);
}

async fn a_population_unlike_the_snapshots_is_remarked(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    tally.train_with_spec("lead", "[lead]\nages_days = [0, 7]", &["--as-of", NOW]);
    let card = tally.card("lead/1").await;
    let found = check(&card, "POPULATION_OUT_OF_RANGE").unwrap();
    assert!(!found.blocking && card.champion, "a remark");
    assert!(found.message.contains("tenure_days is 0 to 7 in the snapshots"), "{found:?}");
    tally.train(&["churn", "--as-of", NOW]);
    assert_eq!(tally.card("churn/1").await.failed_checks, [], "a sound model has no remark");
}

async fn names_that_do_not_occur_are_remarked(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    let spec = "[features]\nkinds = [\"purchase\", \"visitt\"]\nattributes = [\"regoin\"]";
    let shown = tally.train_with_spec("churn", spec, &["--as-of", NOW]);
    let words = "the spec lists names that do not occur in the data: `visitt` (features.kinds), `regoin` \
                 (features.attributes)";
    assert!(shown.contains("note (UNKNOWN_NAMES)") && shown.contains(words), "{shown}");
    let card = tally.card("churn/1").await;
    assert!(check(&card, "UNKNOWN_NAMES").is_some_and(|found| !found.blocking) && card.champion, "a remark");
}

async fn no_snapshots_are_explained_by_what_is_stored(tally: Tally) {
    let visits = (0..30).map(|n| interaction(&format!("c{n}"), "v", "visit", "2024-01-05"));
    let cancels = (0..7).map(|n| interaction(&format!("c{n}"), "c", "cancel", "2024-02-05"));
    tally.backfill(visits.chain(cancels).collect()).await.unwrap();
    let shown = train(&tally, &["churn", "--as-of", NOW], 2);
    for words in [
        "have 0 snapshots",
        "known at 2024-06-01T00:00:00Z of 30 customers are 30 visit, 7 cancel, the first of 2024-01-05, the last of \
         2024-02-05",
        "no `purchase` is among them; `cancel` is: did you mean `event = \"cancel\"`",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let shown = train(&tally, &["churn", "--as-of", "2024-01-01"], 2);
    assert!(shown.contains("no interaction of the 30 customers had happened and was known"), "{shown}");
}

async fn a_one_sided_outcome_is_explained(tally: Tally) {
    // Subscribers buy once, and cancel.
    let item = |n: i64, kind: &str, day: i64| {
        let at = time("2023-01-01").plus_days(n % 300 + day).to_string();
        interaction(&format!("c{n:03}"), kind, kind, &at)
    };
    let items = (0..300).flat_map(|n| {
        let cancel = (n % 3 == 0).then(|| item(n, "cancel", 60));
        [Some(item(n, "visit", 0)), Some(item(n, "purchase", 1)), cancel].into_iter().flatten()
    });
    tally.backfill(items.collect()).await.unwrap();
    let shown = train(&tally, &["churn", "--as-of", NOW], 2);
    assert!(
        shown.contains("100 `cancel` interactions are stored: did you mean `event = \"cancel\"`"),
        "{shown}"
    );
    let shown = train(&tally, &["lead", "--as-of", NOW], 2);
    assert!(shown.contains("nearly every lead has bought: those who never did are missing"), "{shown}");
    let shown = train(&tally, &["lead", "--as-of", NOW, "--one-in", "1000000"], 2);
    assert!(shown.contains("--one-in 1000000 leaves most customers out"), "{shown}");
}

async fn the_holdout_is_divided_by_an_attribute(tally: Tally) {
    store_subscribers(&tally).await;
    let shown = train(&tally, &["churn", "--as-of", NOW, "--by", "colour"], 2);
    assert!(shown.contains("--by: `colour` is not") && shown.contains("those are: plan"), "{shown}");
    let shown = tally.train_with_spec("churn", SEEING, &["--as-of", NOW, "--by", "plan"]);
    assert!(shown.contains("by attribute.plan"), "{shown}");
    let card = tally.card("churn/1").await;
    let holdout = card.holdout.unwrap();
    for by in ["attribute.plan", "month"] {
        let slices = card.slices.iter().filter(|slice| slice.by == by);
        let (rows, positives) =
            slices.fold((0, 0), |sum, slice| (sum.0 + slice.rows, sum.1 + slice.positives));
        assert_eq!((rows, positives), (holdout.rows, holdout.positives), "{by}");
    }
    let rate = |group: &str| card.slices.iter().find(|slice| slice.group == group).unwrap().observed_rate;
    assert!(rate("loose") > 0.4 && rate("fixed") < 0.1, "{:?}", card.slices);
}
