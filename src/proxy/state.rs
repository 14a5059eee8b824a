//! What is told of the proxy: to an agent about itself, to operators about everything.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::app::{App, dollars};
use crate::calendar::{now, time_text};
use crate::dispatch;
use crate::fault::Fault;
use crate::ledger::book::{ByModel, POD, Sum};
use crate::limits::limits;
use crate::manifest::{Agent, Limit};
use crate::metrics::{Labels, head, labelled, quoted};
use crate::policy::{Candidate, allowed};
use crate::relay::Outgoing;
use crate::serve::json_response;

/// Answers whether calls can be taken now.
pub(crate) fn ready(app: &App) -> Response<Outgoing> {
    let can_write = app.ledger.borrow().waiting() == 0;
    let is_ready = can_write && !app.is_stopping.get();
    let mut response = json_response(&json!({"ready": is_ready, "ledger": can_write}));
    if !is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// Answers what an agent may use, in the shape of OpenAI or of Anthropic.
pub(crate) fn models(app: &App, agent: &str, one: Option<&str>, is_anthropic: bool) -> Response<Outgoing> {
    let Some(row) = app.agent(agent) else { return json_response(&json!({"data": []})) };
    let created = app.started_at / 1000;
    let model = |name: &String| {
        let provider = Candidate::parse(name).map(|candidate| candidate.provider).unwrap_or_default();
        if is_anthropic {
            json!({"type": "model", "id": name, "display_name": name, "created_at": time_text(app.started_at)})
        } else {
            json!({"id": name, "object": "model", "created": created, "owned_by": provider})
        }
    };
    let names = allowed(row);
    if let Some(one) = one {
        return match names.iter().find(|name| *name == one) {
            Some(name) => json_response(&model(name)),
            None => {
                let format = if is_anthropic {
                    claw_types::provider::WireFormat::Anthropic
                } else {
                    claw_types::provider::WireFormat::OpenAi
                };
                dispatch::fault_response(&Fault::new(404, "model_not_found", "the agent has no such model"), format)
            }
        };
    }
    let data: Vec<Value> = names.iter().map(model).collect();
    if is_anthropic {
        return json_response(
            &json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()}),
        );
    }
    json_response(&json!({"object": "list", "data": data}))
}

/// Answers what an agent has spent and what is left.
pub(crate) fn usage(app: &App, agent: &str) -> Response<Outgoing> {
    let Some(row) = app.agent(agent) else { return json_response(&json!({})) };
    let sum = {
        let ledger = app.ledger.borrow();
        total(ledger.book.totals.get(agent))
    };
    json_response(&json!({
        "schema": "claw.cllama.usage.v1",
        "agent": agent,
        "requests": sum.requests,
        "unpriced_requests": sum.unpriced,
        "tokens_in": sum.input,
        "tokens_out": sum.output,
        "spent_usd": sum.cost.to_string(),
        "budgets": budgets(app, row, agent),
    }))
}

fn total(models: Option<&ByModel>) -> Sum {
    let mut sum = Sum::default();
    for each in models.into_iter().flat_map(ByModel::values) {
        sum.merge(each);
    }
    sum
}

/// Returns where the limits of an account stand.
fn standing(app: &App, limits: &[Limit], account: &str) -> Vec<Value> {
    let at = now();
    let mut ledger = app.ledger.borrow_mut();
    let scope = if account == POD { "pod" } else { "agent" };
    let account = ledger.book.account(account);
    let row = |limit: &Limit| {
        let standing = account.standing(limit, at);
        json!({
            "scope": scope,
            "window": limit.window.name(),
            "action": limit.action.name(),
            "limit_usd": limit.usd.map(|usd| usd.to_string()),
            "spent_usd": standing.spent.usd.to_string(),
            "reserved_usd": standing.reserved.usd.to_string(),
            "remaining_usd": standing.usd_left.map(|left| left.to_string()),
            "limit_tokens": limit.tokens,
            "spent_tokens": standing.spent.tokens,
            "remaining_tokens": standing.tokens_left,
            "limit_requests": limit.requests,
            "spent_requests": standing.spent.requests,
            "remaining_requests": standing.requests_left,
            "resets_at": standing.resets_at,
        })
    };
    limits.iter().map(row).collect()
}

/// Returns where an agent's limits stand, and the pod's.
pub(crate) fn budgets(app: &App, row: &Agent, agent: &str) -> Vec<Value> {
    let mut all = standing(app, &limits(app, row, agent), agent);
    all.extend(standing(app, &limits(app, row, POD), POD));
    all
}

fn model_rows(models: Option<&ByModel>, money: impl Fn(&Sum) -> Value) -> Vec<Value> {
    let row = |(name, sum): (&String, &Sum)| {
        let candidate = Candidate::parse(name);
        let (provider, model) = candidate.map(|each| (each.provider, each.model)).unwrap_or_default();
        json!({
            "provider": provider,
            "model": model,
            "requests": sum.requests,
            "priced_requests": sum.requests - sum.unpriced,
            "unpriced_requests": sum.unpriced,
            "tokens_in": sum.input,
            "tokens_out": sum.output,
            "input_tokens": sum.input,
            "output_tokens": sum.output,
            "cost_usd": money(sum),
            "pricing_status": sum.pricing().name(),
        })
    };
    models.into_iter().flatten().map(row).collect()
}

/// Returns everything an operator's page shows. `role` is `operator` or `read`.
pub(crate) fn state(app: &App, role: &str) -> Value {
    let at = now();
    let mut all = Sum::default();
    let mut agents = Vec::new();
    for (id, row) in &app.manifest.agents {
        let budgets = budgets(app, row, id);
        let ledger = app.ledger.borrow();
        let sum = total(ledger.book.totals.get(id));
        all.merge(&sum);
        agents.push(json!({
            "agent": id,
            "service": row.service,
            "requests": sum.requests,
            "denied": app.metrics.borrow().denials(id),
            "tokens_in": sum.input,
            "tokens_out": sum.output,
            "cost_usd": sum.cost.to_string(),
            "unpriced_requests": sum.unpriced,
            "in_flight": app.in_flight(id),
            "score": ledger.book.scores.get(id).map(|score| f64::from(*score) / 1000.0),
            "budgets": budgets,
            "models": model_rows(ledger.book.totals.get(id), |sum| json!(sum.cost.to_string())),
        }));
    }
    let denied: u64 = app.manifest.agents.keys().map(|id| app.metrics.borrow().denials(id)).sum();
    let live = app.live.borrow();
    let live = live.values().map(|live| {
        let live = live.borrow();
        json!({
            "request_id": live.id, "agent": live.agent, "provider": live.target.provider, "model": live.target.model,
            "stream": live.is_stream, "started_at": live.at, "phase": live.phase.name(),
        })
    });
    let interventions = app.interventions.borrow();
    let interventions = interventions
        .iter()
        .map(|each| json!({"at": each.at, "agent": each.agent, "kind": each.kind, "detail": each.detail}));
    let alarms = app.alarms.borrow();
    let prices = app.prices.borrow();
    json!({
        "schema": "claw.cllama.state.v1",
        "role": role,
        "pod": app.manifest.pod,
        "type": app.manifest.kind,
        "version": env!("CARGO_PKG_VERSION"),
        "now": at,
        "started_at": app.started_at,
        "alarms": alarms.iter().map(|(at, text)| json!({"at": at, "text": text})).collect::<Vec<_>>(),
        "totals": {"requests": all.requests, "denied": denied, "unpriced_requests": all.unpriced, "cost_usd": all.cost.to_string()},
        "agents": agents,
        "live": live.collect::<Vec<_>>(),
        "interventions": interventions.collect::<Vec<_>>(),
        "keys": keys(app, at),
        "prices": {"as_of": prices.as_of, "source": prices.source, "is_stale": prices.is_stale(at)},
    })
}

/// Returns where every key stands.
pub(crate) fn keys(app: &App, at: u64) -> Vec<Value> {
    let pools = app.pools.borrow();
    let mut rows = Vec::new();
    for (provider, pool) in pools.iter() {
        for key in &pool.keys {
            let (state, until) = key.standing(at);
            let resting = key.rests.models(at).chain(pool.broken.models(at));
            let models = resting.map(|(model, until)| json!({"model": model, "state": "cooldown", "until": until}));
            rows.push(json!({
                "provider": provider, "key": key.id, "state": state, "until": until, "since": key.since,
                "evidence": key.evidence, "models": models.collect::<Vec<_>>(),
            }));
        }
    }
    rows
}

/// Returns the costs: in all, or by `agent`, `model` or `day`.
pub(crate) fn costs(app: &App, by: Option<&str>) -> Value {
    let ledger = app.ledger.borrow();
    let book = &ledger.book;
    let mut rows: std::collections::BTreeMap<String, Sum> = std::collections::BTreeMap::new();
    match by {
        Some("day") => {
            for (day, agents) in &book.days {
                for models in agents.values() {
                    rows.entry(day.clone()).or_default().merge(&total(Some(models)));
                }
            }
        }
        Some("model") => {
            for (model, sum) in book.totals.values().flatten() {
                rows.entry(model.clone()).or_default().merge(sum);
            }
        }
        Some(_) | None => {
            for (agent, models) in &book.totals {
                rows.entry(agent.clone()).or_default().merge(&total(Some(models)));
            }
        }
    }
    if let Some(by) = by {
        let score =
            |name: &str| book.scores.get(name).filter(|_| by == "agent").map(|score| f64::from(*score) / 1000.0);
        let row = |(name, sum): (&String, &Sum)| {
            json!({
                by: name, "requests": sum.requests, "unpriced_requests": sum.unpriced, "estimated_requests": sum.estimated,
                "tokens_in": sum.input, "tokens_out": sum.output, "cost_usd": sum.cost.to_string(), "pricing_status": sum.pricing().name(),
                "score": score(name),
            })
        };
        let prices = app.prices.borrow();
        return json!({
            "schema": "claw.cllama.costs.v1", "by": by, "rows": rows.iter().map(row).collect::<Vec<_>>(),
            "prices": {"as_of": prices.as_of, "source": prices.source, "is_stale": prices.is_stale(now())},
        });
    }
    let mut all = Sum::default();
    let mut agents = serde_json::Map::new();
    for (agent, models) in &book.totals {
        let sum = total(Some(models));
        all.merge(&sum);
        agents.insert(agent.clone(), json!({
            "requests": sum.requests, "unpriced_requests": sum.unpriced, "input_tokens": sum.input, "output_tokens": sum.output,
            "cost_usd": dollars(sum.cost), "models": model_rows(Some(models), |sum| dollars(sum.cost)),
        }));
    }
    json!({"total_cost_usd": dollars(all.cost), "total_requests": all.requests, "unpriced_requests": all.unpriced, "agents": agents})
}

/// Returns the counters in the text format of Prometheus.
pub(crate) fn prometheus(app: &App) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    app.metrics.borrow().write(&mut out);
    let ledger = app.ledger.borrow();
    let rows = || {
        ledger.book.totals.iter().flat_map(|(agent, models)| {
            models.iter().filter_map(move |(name, sum)| {
                let Candidate { provider, model } = Candidate::parse(name)?;
                Some((Labels { agent: agent.clone(), provider, model }, *sum))
            })
        })
    };
    head(&mut out, "gen_ai_client_token_usage", "Tokens, in and out, as the ledger has them.", "counter");
    for (labels, sum) in rows() {
        for (kind, count) in [("input", sum.input), ("output", sum.output)] {
            let _ = writeln!(
                out,
                "gen_ai_client_token_usage{{{},gen_ai_token_type=\"{kind}\"}} {count}",
                labelled(&labels)
            );
        }
    }
    head(&mut out, "gen_ai_client_cost", "US dollars, as the ledger has them.", "counter");
    for (labels, sum) in rows() {
        let _ = writeln!(out, "gen_ai_client_cost{{{}}} {}", labelled(&labels), sum.cost);
    }
    drop(ledger);
    head(&mut out, "claw_budget_limit_usd", "Budgets of money.", "gauge");
    head(&mut out, "claw_budget_remaining_usd", "What is left of them.", "gauge");
    for (id, row) in &app.manifest.agents {
        for budget in budgets(app, row, id) {
            let text = |key: &str| budget.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
            let (Some(limit), Some(left)) = (text("limit_usd"), text("remaining_usd")) else { continue };
            let (scope, window) = (text("scope").unwrap_or_default(), text("window").unwrap_or_default());
            let labels = format!("agent={},scope=\"{scope}\",window=\"{window}\"", quoted(id));
            let _ = writeln!(
                out,
                "claw_budget_limit_usd{{{labels}}} {limit}\nclaw_budget_remaining_usd{{{labels}}} {left}"
            );
        }
    }
    head(&mut out, "claw_key_state", "Keys of providers: 1 in the state they are in.", "gauge");
    for key in keys(app, now()) {
        let text = |name: &str| quoted(key.get(name).and_then(Value::as_str).unwrap_or(""));
        let _ = writeln!(
            out,
            "claw_key_state{{provider={},key={},state={}}} 1",
            text("provider"),
            text("key"),
            text("state")
        );
    }
    out
}
