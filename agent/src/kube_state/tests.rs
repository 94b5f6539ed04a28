//! The stores behind a scrape: lists, changes, election.

use super::*;

fn pod(name: &str, phase: &str) -> Pod {
    serde_json::from_value(serde_json::json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}")},
        "status": {"phase": phase}
    }))
    .unwrap()
}

fn lines(state: &KubeState, family: &str) -> Vec<String> {
    let text: Vec<u8> = state.scrape().unwrap().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|l| l.starts_with(&format!("{family}{{"))).map(str::to_owned).collect()
}

fn running(state: &KubeState) -> Vec<String> {
    lines(state, "kube_pod_status_phase")
        .into_iter()
        .filter(|l| l.contains("Running") && l.ends_with(" 1"))
        .collect()
}

#[test]
fn pods_follow_the_watch() {
    let state = KubeState::new();
    state.unavailable("not yet");
    assert_eq!(state.scrape().err(), Some("not yet".to_owned()));
    state.pods.restart();
    state.pods.listed(&pod("a", "Running"));
    assert!(state.scrape().is_err(), "half a list is not shown");
    state.pods.complete();
    state.pods.changed(&pod("b", "Running"));
    let of = |name: &str| {
        format!(
            "kube_pod_status_phase{{namespace=\"shop\",pod=\"{name}\",uid=\"uid-{name}\",phase=\"Running\"}} 1"
        )
    };
    assert_eq!(running(&state), [of("a"), of("b")]);
    state.pods.gone(&pod("a", "Running"));
    state.pods.changed(&pod("b", "Failed"));
    assert_eq!(running(&state), [""; 0]);
    state.pods.restart();
    state.pods.listed(&pod("c", "Running"));
    assert_eq!(running(&state), [""; 0], "the old list stands until the new one is complete");
    state.pods.complete();
    assert_eq!(running(&state), [of("c")]);
    assert!(state.size() > 0);
}

#[test]
fn only_the_elected_agent_shows_the_cluster() {
    let state = KubeState::new();
    state.pods.complete();
    state.nodes.changed(&serde_json::from_value(serde_json::json!({"metadata": {"name": "n1"}})).unwrap());
    state.nodes.complete();
    state.nodes.changed(&serde_json::from_value(serde_json::json!({"metadata": {"name": "n1"}})).unwrap());
    assert_eq!(lines(&state, "kube_node_info").len(), 0);
    state.leads(true);
    assert_eq!(lines(&state, "kube_node_info").len(), 1);
    state.nodes.stopped();
    assert_eq!(lines(&state, "kube_node_info").len(), 0);
}
