//! Rules and alerts of a container whose runtime answers late, or never.
//!
//! The runtime is a fake one, because no real one can be made to be slow. Its container is a
//! control group of the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

const RULES: &str = "\
- rule: image
  desc: d
  condition: evt.type = execve and evt.rawres = 0 and proc.name = true and container.image.repository = nginx
  output: '%evt.num %proc.args %container.id %container.name %container.image.tag'
  priority: WARNING
- rule: other image
  desc: d
  condition: evt.type = execve and evt.rawres = 0 and proc.name = true and not container.image.repository = nginx
  output: '%evt.num %proc.args %container.id %container.name'
  priority: WARNING
";

/// The container's only process runs programs right after it has entered the group.
const ACTS: &str = r#"
/bin/true on the host
sh -c 'echo $$ >"$0/cgroup.procs" && /bin/true first && /bin/true second; true' "$3"
/bin/true on the host again
"#;

/// Answers requests of the Docker API about one container, after a time.
fn serve(socket: UnixStream, id: &str, delay: Duration) -> std::io::Result<()> {
    let mut requests = BufReader::new(socket.try_clone()?).lines();
    while let Some(line) = requests.next().transpose()? {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        // The headers.
        while requests.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let image = "c".repeat(64);
        let (status, body) = if path == "/_ping" {
            (200, "OK".to_owned())
        } else if path.contains("/events") {
            // There are none.
            write!(&socket, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            thread::sleep(Duration::from_secs(60));
            return Ok(());
        } else if path.contains("/containers/json") {
            (200, "[]".to_owned())
        } else if path.contains(&format!("/containers/{id}")) {
            thread::sleep(delay);
            let json = format!(
                r#"{{"Id":"{id}","Name":"/web","Created":"2026-01-01T00:00:00Z",
                "Image":"sha256:{image}","Config":{{"Image":"nginx:1.2"}}}}"#
            );
            (200, json)
        } else if path.contains("/images/") {
            (200, format!(r#"{{"Id":"sha256:{image}","RepoTags":["nginx:1.2"]}}"#))
        } else {
            (404, "{}".to_owned())
        };
        let length = body.len();
        write!(
            &socket,
            "HTTP/1.1 {status} X\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
    }
    Ok(())
}

/// The texts of all alerts, where the runtime takes this time to answer and rules wait for
/// `max_delay` milliseconds.
fn alerts(name: &str, delay: Duration, max_delay: &str) -> Option<(String, Vec<String>)> {
    let place = Place::new(name)?;
    place.write("rules.yaml", RULES);
    let socket = place.path("docker.sock");
    let config = format!(
        "{CONFIG}\
plugins:
  - name: container
    library_path: libcontainer.so
    init_config:
      engines:
        docker: {{sockets: ['{}']}}
        podman: {{enabled: false}}
        cri: {{enabled: false}}
        containerd: {{enabled: false}}
",
        socket.display()
    );
    let config = config.replace("load_plugins: []", "load_plugins: [container]");
    place.write("falco.yaml", &config);
    let id = format!("{:012x}{:052x}", std::process::id(), delay.as_millis());
    let listener = UnixListener::bind(&socket).unwrap();
    let served = id.clone();
    // It ends with the test.
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let id = served.clone();
            thread::spawn(move || serve(socket, &id, delay));
        }
    });
    // On hybrid hosts runtimes use the first version of control groups.
    let parent = Path::new("/sys/fs/cgroup/cpu");
    let parent = if parent.exists() { parent } else { &place.group };
    let group = Group(parent.join(&id));
    fs::create_dir(&group.0).unwrap();
    let max_delay = format!("containers.max_delay_ms={max_delay}");
    let mut watcher = place.watch(&["-r", "rules.yaml", "-o", &max_delay])?;
    place.act(&ACTS.replace("\"$3\"", &format!("'{}'", group.0.display())));
    let short = id.get(..12).unwrap().to_owned();
    // The last one is of the host.
    while !watcher.seen.iter().any(|alert| alert.to_string().contains("on the host again")) {
        watcher.wait_for(&["other image"]);
    }
    let text = |alert: &Value| {
        let fields = &alert["output_fields"];
        let text = |name: &str| fields[name].as_str().unwrap_or("-").to_owned();
        let rule = alert["rule"].as_str().unwrap();
        let number = fields["evt.num"].as_u64().unwrap();
        let shown = ["proc.args", "container.id", "container.name"].map(text).join(" ");
        (number, format!("{rule}: {shown}"))
    };
    let alerts = watcher.end();
    let own = alerts.iter().filter(|alert| RULES.contains(alert["rule"].as_str().unwrap()));
    let alerts: Vec<_> = own.map(text).collect();
    assert!(alerts.is_sorted_by_key(|(number, _)| *number), "{alerts:?}");
    Some((short, alerts.into_iter().map(|(_, text)| text).collect()))
}

/// A control group that ends with the test.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn rules_and_alerts_wait_for_a_runtime_that_is_slow() {
    let Some((id, alerts)) = alerts("slow", Duration::from_millis(40), "20000") else { return };
    let expected = [
        "other image: on the host host host".to_owned(),
        format!("image: first {id} web"),
        format!("image: second {id} web"),
        "other image: on the host again host host".to_owned(),
    ];
    assert_eq!(alerts, expected);
}

#[test]
fn rules_and_alerts_do_without_a_runtime_that_does_not_answer() {
    let Some((id, alerts)) = alerts("silent", Duration::from_secs(60), "100") else { return };
    let expected = [
        "other image: on the host host host".to_owned(),
        format!("other image: first {id} -"),
        format!("other image: second {id} -"),
        "other image: on the host again host host".to_owned(),
    ];
    assert_eq!(alerts, expected);
}
