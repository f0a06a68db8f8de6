//! Who is on which list, computed a second time from what other calls say of the customers.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::value::Kind;
use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, Cause, WorkKind};

use crate::{
    insight::{AS_OF, paid},
    support::{Tally, business, customer, interaction, on_both_stores, score_of, time, timestamp},
};

on_both_stores!(
    scored_customers_have_their_kinds_causes_and_reasons,
    neglect_and_care_dates_follow_from_the_facts,
    dashboards_read_the_worklist,
);

const CONTACTS: [&str; 5] = ["call", "email", "meeting", "message", "letter"];

/// The cause that a feature tells of, by its name.
fn cause_of(feature: &str) -> Cause {
    let (kind, rest) = feature.split_once('.').unwrap_or(("", feature));
    let of_property = |end| rest.ends_with(end) && rest != "days_since_last";
    match (kind, rest) {
        ("attribute", _) | ("", "month" | "arrival_weekday" | "tenure_days") => Cause::Unknown,
        ("", "open_complaints" | "satisfaction") => Cause::OpenComplaint,
        ("", "return_share") => Cause::Returns,
        ("purchase", "discount_share" | "average_amount_minor") => Cause::Price,
        (_, rest) if rest.starts_with("discount") || rest.starts_with("price") => Cause::Price,
        ("channel", _) | ("", "channel_last" | "channel_commonest") => Cause::NeedChanged,
        _ if ["_distinct", "_commonest", "_mean", "_last"].into_iter().any(of_property) => Cause::NeedChanged,
        ("complaint" | "resolution" | "survey", _) => Cause::OpenComplaint,
        ("return", _) => Cause::Returns,
        ("cancel", _) => Cause::NeedChanged,
        (kind, _) if CONTACTS.contains(&kind) => Cause::Neglect,
        _ => Cause::FallingUse,
    }
}

/// Whether a feature says of a customer who has bought on one day only how often, when or what that was.
fn is_of_one_purchase(feature: &str) -> bool {
    let of_purchases =
        !feature.contains('.') || feature.starts_with("purchase.") || feature.starts_with("channel.");
    let cause = cause_of(feature);
    of_purchases && feature != "returned" && [Cause::FallingUse, Cause::NeedChanged].contains(&cause)
}

/// Whether a score tells that something of a cause has happened to the customer: how often, how much, or when.
fn has_happened(cause: Cause, reasons: &[v1::Reason]) -> bool {
    reasons.iter().any(|reason| {
        let value = reason.value.as_ref().and_then(|value| value.kind.as_ref());
        let is_told = matches!(value, Some(Kind::NumberValue(number)) if *number > 0.0);
        is_told && cause_of(&reason.feature) == cause && !reason.feature.contains("trend")
    })
}

/// The cause with the greatest sum of contributions towards leaving. Complaints and returns are none of a customer without
/// any.
fn cause(reasons: &[v1::Reason], purchase_days: i64) -> Cause {
    let mut sums: BTreeMap<i32, f64> = BTreeMap::new();
    for reason in reasons {
        if purchase_days == 1 && is_of_one_purchase(&reason.feature) {
            continue;
        }
        *sums.entry(cause_of(&reason.feature).into()).or_default() += reason.contribution;
    }
    sums.remove(&Cause::Unknown.into());
    for of_events in [Cause::OpenComplaint, Cause::Returns] {
        if !has_happened(of_events, reasons) {
            sums.remove(&of_events.into());
        }
    }
    let greatest = sums.into_iter().filter(|(_, sum)| *sum > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
    greatest.map_or(Cause::Unknown, |(cause, _)| cause.try_into().unwrap())
}

/// The texts of the remarks that follow the reasons of the score.
fn remarks(
    insight: &v1::CustomerInsight,
    is_scored: bool,
    cause: Cause,
    score: Option<&v1::Score>,
) -> Vec<String> {
    let returned = insight.returns_minor * 100 / insight.revenue_minor.max(1);
    let much = insight.revenue_minor > 0 && 2 * insight.returns_minor > insight.revenue_minor;
    let once = insight.purchase_days == 1 && is_scored && cause == Cause::Unknown;
    let mut texts = Vec::new();
    texts.extend(much.then(|| format!("returned {returned} % of revenue")));
    texts.extend(once.then(|| "bought on one day only, so that nothing has fallen".to_owned()));
    texts.extend(score.filter(|score| score.upper - score.lower > 0.5).map(|score| {
        let percent = |probability: f64| match probability {
            p if p < 0.001 => "<0.1 %".to_owned(),
            p if p > 0.999 => ">99.9 %".to_owned(),
            p => format!("{:.0} %", (100.0 * p).clamp(1.0, 99.0)),
        };
        format!("likely between {} and {}", percent(score.lower), percent(score.upper))
    }));
    texts
}

/// The action of the usual playbook.
fn action(cause: Cause, class: &str) -> &'static str {
    match (class, cause) {
        ("A", _) => "personal call",
        (_, Cause::OpenComplaint) => "solve complaint",
        (_, Cause::Price) => "offer",
        ("C", _) => "standard mail",
        _ => "personal mail",
    }
}

async fn scored_customers_have_their_kinds_causes_and_reasons(tally: Tally) {
    let as_of = time(AS_OF);
    tally.simulate(&business(400, 11, as_of)).await;
    let without = tally.all_work(as_of).await;
    let has = |items: &[v1::WorkItem], kind: WorkKind| items.iter().any(|item| item.kind() == kind);
    assert!(has(&without, WorkKind::WinBack) && has(&without, WorkKind::CareDate));
    assert!(!has(&without, WorkKind::AtRisk) && !has(&without, WorkKind::HotLead), "there is no champion");
    for item in &without {
        let insight = tally.insight(&item.customer_id, AS_OF).await.unwrap();
        let texts: Vec<&String> = item.reasons.iter().map(|reason| &reason.text).collect();
        assert_eq!(texts, remarks(&insight, false, Cause::Unknown, None).iter().collect::<Vec<_>>());
        assert_eq!(item.probability, None);
    }
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", AS_OF]);
    }
    let champions = async || {
        let request = v1::ListWorklistRequest { as_of_time: Some(timestamp(as_of)), ..Default::default() };
        let warnings = tally.worklist(request).await.unwrap().warnings;
        warnings.iter().filter(|warning| warning.contains(" there was no champion for ")).count()
    };
    assert_eq!(champions().await, 2, "when the pass was made");
    tally.refresh_insights(AS_OF).await.unwrap();
    assert_eq!(champions().await, 0);
    let items = tally.all_work(as_of).await;
    let request = v1::ListSegmentMembersRequest {
        segmentation: "life_cycle".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(request).await.unwrap().into_inner().members;
    let (mut seen, mut uncertain) = (BTreeSet::new(), 0);
    for member in &members {
        let own: Vec<&v1::WorkItem> =
            items.iter().filter(|item| item.customer_id == member.customer_id).collect();
        let score = score(&tally, member, as_of).await;
        let insight = tally.insight(&member.customer_id, AS_OF).await.unwrap();
        let expected = expected_kinds(member, &score, &insight, as_of);
        assert_eq!(
            own.iter().map(|item| item.kind()).collect::<Vec<_>>(),
            expected,
            "{}",
            member.customer_id
        );
        let is_lead = member.life_cycle == "lead";
        let cause = if is_lead { Cause::Unknown } else { cause(&score.reasons, insight.purchase_days) };
        let remarks = remarks(&insight, !is_lead, cause, Some(&score));
        for item in own {
            assert_eq!(item.probability.map(f64::to_bits), Some(score.probability.to_bits()));
            assert_eq!((item.cause(), item.abc_class.as_str()), (cause, member.abc_class.as_str()));
            assert_eq!(item.action, action(cause, &member.abc_class));
            let (of_score, others) = item.reasons.split_at(3.min(score.reasons.len()));
            assert_eq!(of_score, &score.reasons[..of_score.len()]);
            assert_eq!(
                others.iter().map(|reason| &reason.text).collect::<Vec<_>>(),
                remarks.iter().collect::<Vec<_>>()
            );
            assert!(others.iter().all(|reason| reason.contribution == 0.0));
            uncertain += others.iter().filter(|reason| reason.feature == "interval_width").count();
            assert_eq!(item.due_time, insight.next_care_time.filter(|_| item.kind() == WorkKind::CareDate));
            assert_eq!((item.held_out, item.name.as_str()), (insight.held_out, insight.name.as_str()));
            assert_eq!(item.next_to_buy, insight.next_to_buy);
            let at_risk = item.clv_minor.map(|clv| match is_lead {
                true => clv,
                false => (score.probability * clv as f64).round() as i64,
            });
            assert_eq!(item.value_at_risk_minor, at_risk);
            seen.insert((item.kind, item.cause));
        }
    }
    assert!(uncertain > 0 && uncertain < items.len(), "{uncertain} of {}", items.len());
    let kinds: BTreeSet<i32> = seen.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 5, "every kind occurs: {kinds:?}");
    assert!(seen.iter().map(|(_, cause)| cause).collect::<BTreeSet<_>>().len() >= 3, "{seen:?}");
    let place =
        |item: &v1::WorkItem| (item.value_at_risk_minor.unwrap_or(-1), item.customer_id.clone(), item.kind);
    assert!(items.is_sorted_by(|a, b| {
        let (a, b) = (place(a), place(b));
        a.0 > b.0 || (a.0 == b.0 && (a.1, a.2) < (b.1, b.2))
    }));
}

/// The score of a member with all reasons.
async fn score(tally: &Tally, member: &v1::SegmentMember, as_of: Time) -> v1::Score {
    let (customer_ids, as_of_time) = (vec![member.customer_id.clone()], Some(timestamp(as_of)));
    let results = if member.life_cycle == "lead" {
        let request =
            v1::BatchScoreLeadsRequest { customer_ids, as_of_time, max_reasons: -1, ..Default::default() };
        tally.scoring().batch_score_leads(request).await.unwrap().into_inner().results
    } else {
        let request =
            v1::BatchPredictChurnRequest { customer_ids, as_of_time, max_reasons: -1, ..Default::default() };
        tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results
    };
    score_of(results.into_iter().next().unwrap())
}

/// The kinds by the definitions; contacts are recorded in the simulated business.
fn expected_kinds(
    member: &v1::SegmentMember,
    score: &v1::Score,
    insight: &v1::CustomerInsight,
    as_of: Time,
) -> Vec<WorkKind> {
    let stage = member.life_cycle.as_str();
    let is_current = !["lead", "lost"].contains(&stage);
    let leaves = score.probability >= 0.5 || score.grade() == v1::Grade::D;
    let last_contact = insight.last_contact_time.map_or(0, |time| time.seconds);
    let is_silent = last_contact <= as_of.plus_days(-90).0 / 1_000_000;
    let care = insight.next_care_time.map_or(i64::MAX, |time| time.seconds);
    let mut kinds = Vec::new();
    kinds.extend((is_current && leaves).then_some(WorkKind::AtRisk));
    kinds.extend((stage == "lost").then_some(WorkKind::WinBack));
    kinds.extend((stage == "lead" && score.grade() == v1::Grade::A).then_some(WorkKind::HotLead));
    let matters = ["A", "B"].contains(&member.abc_class.as_str());
    kinds.extend((is_current && matters && is_silent).then_some(WorkKind::Neglected));
    kinds.extend((care <= as_of.plus_days(7).0 / 1_000_000).then_some(WorkKind::CareDate));
    kinds
}

async fn neglect_and_care_dates_follow_from_the_facts(tally: Tally) {
    let as_of = time("2024-02-28T12:00:00Z");
    let born = |id: &str, date: &str| {
        customer(id, "2023-01-01", &[("birth_date", Kind::StringValue(date.to_owned()))])
    };
    let customers = [
        ("leap", "1980-02-29"),
        ("today", "1990-02-28"),
        ("in_8", "1990-03-07"),
        ("yesterday", "1990-02-27"),
    ];
    tally.upsert(customers.map(|(id, date)| born(id, date)).to_vec()).await.unwrap();
    let bought = |id: &str, day: &str| paid(id, "p", "purchase", day, 1_000);
    tally
        .backfill(vec![
            bought("anniversary", "2023-03-01"),
            bought("silent", "2024-02-20"),
            bought("spoken_to", "2024-02-20"),
            bought("new", "2024-02-28"),
        ])
        .await
        .unwrap();
    let kinds = async |kind: WorkKind| {
        let items = tally.all_work(as_of).await;
        let of_kind = items.into_iter().filter(|item| item.kind() == kind);
        of_kind
            .map(|item| {
                (
                    item.customer_id,
                    item.due_time.map(|due| Time(due.seconds * 1_000_000).to_string()[..10].to_owned()),
                )
            })
            .collect::<BTreeMap<_, _>>()
    };
    let due = |id: &str, day: &str| (id.to_owned(), Some(day.to_owned()));
    let expected = [due("leap", "2024-02-29"), due("today", "2024-02-28"), due("anniversary", "2024-03-01")];
    assert_eq!(kinds(WorkKind::CareDate).await, BTreeMap::from(expected));
    assert_eq!(kinds(WorkKind::Neglected).await.len(), 0, "no contact is recorded with anybody");
    let insight = tally.insight("yesterday", "2024-02-28T12:00:00Z").await.unwrap();
    assert_eq!(insight.next_care_time, Some(timestamp(time("2025-02-27"))));

    let limit = as_of.plus_days(-90);
    tally
        .backfill(vec![
            interaction("spoken_to", "1", "call", &Time(limit.0 + 1).to_string()),
            interaction("silent", "1", "call", &limit.to_string()),
        ])
        .await
        .unwrap();
    tally.refresh_insights("2024-02-28T12:00:00Z").await.unwrap();
    let neglected = kinds(WorkKind::Neglected).await;
    assert_eq!(
        neglected.keys().collect::<Vec<_>>(),
        ["new", "silent"],
        "class A, not lost, without a recent call"
    );
    assert_unused_settings(&tally, as_of).await;
}

/// Asserts that a list says which chosen kinds of contact and care dates nobody has.
async fn assert_unused_settings(tally: &Tally, as_of: Time) {
    let settings =
        "contact_kinds = [\"call\", \"e-mail\"]\n[worklist]\ncare_dates = [\"birth_date\", \"birthday\"]";
    let other = InsightSpec::parse(settings).unwrap();
    let other = Tally::start_with_spec(tally.database.again(), other).await;
    other.refresh_insights(&as_of.to_string()).await.unwrap();
    let request = |kind: WorkKind| v1::ListWorklistRequest { kinds: vec![kind.into()], ..Default::default() };
    for (kind, warning) in [
        (
            WorkKind::Neglected,
            "no interaction is of e-mail, which `contact_kinds` in the settings names (NEGLECTED); is it misspelt?",
        ),
        (
            WorkKind::CareDate,
            "no customer has a date as a text in birthday, which `care_dates` in the settings names (CARE_DATE); is it \
             misspelt?",
        ),
    ] {
        assert_eq!(other.worklist(request(kind)).await.unwrap().warnings, [warning]);
    }
    let told = other.worklist(request(WorkKind::WinBack)).await.unwrap().warnings;
    assert_eq!(told, Vec::<String>::new());
}

async fn dashboards_read_the_worklist(tally: Tally) {
    let as_of = time(AS_OF);
    tally.simulate(&business(300, 5, as_of)).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let items = tally.all_work(as_of).await;
    let count = async |condition: &str| {
        tally.database.sql(&format!("SELECT count(*) FROM v_worklist WHERE {condition}")).await.unwrap()
    };
    let listed =
        |kind: WorkKind| items.iter().filter(|item| item.kind() == kind && !item.held_out).count() as i64;
    for kind in [WorkKind::WinBack, WorkKind::Neglected, WorkKind::CareDate] {
        let name = kind.as_str_name().trim_start_matches("WORK_KIND_");
        assert!(listed(kind) > 0, "{name}");
        assert_eq!(count(&format!("kind = '{name}'")).await, listed(kind), "{name}");
    }
    let call = items.iter().filter(|item| item.action == "personal call" && !item.held_out).count();
    assert_eq!(
        count("action = 'personal call' AND abc_class = 'A' AND cause = 'unknown'").await,
        call as i64
    );
    assert_eq!(count("(due_time IS NULL) = (kind = 'CARE_DATE')").await, 0);
}
