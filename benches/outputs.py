#!/usr/bin/env python3
"""What an alert costs on the way to each kind of receiver: bytes on the network, CPU of the agent and of the receiver.

    sudo benches/outputs.py --bin target/release/peregrine [--otelcol otelcol] [--kafka 'lib/*'] [OUTPUT…]

The program replays a capture in which each event is an alert, into real receivers on loopback, in a network namespace of its own
whose counters give the bytes (both directions, with headers of TCP and IP). The cost of a replay into /dev/null is subtracted from
the CPU time of the agent. Receivers that are not installed are left out.
"""
import argparse, glob, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time

CONFIG = """\
engine: {kind: replay, replay: {capture_file: %s}}
json_output: true
log_stderr: true
log_syslog: false
load_plugins: [container]
plugins: [{name: container, library_path: libcontainer.so}]
%s
"""
RULE = """\
- rule: Sensitive file opened
  desc: The text has the length that texts of upstream rules have.
  condition: evt.type in (open, openat, openat2)
  output: >
    Sensitive file opened for reading by non-trusted program | file=%fd.name gparent=%proc.aname[2] ggparent=%proc.aname[3]
    evt_type=%evt.type user=%user.name user_uid=%user.uid user_loginuid=%user.loginuid process=%proc.name
    proc_exepath=%proc.exepath parent=%proc.pname command=%proc.cmdline terminal=%proc.tty container=%container.id
  priority: WARNING
  tags: [maturity_stable, host, container, filesystem, mitre_credential_access, T1555]
"""
NGINX = """\
daemon off; master_process off; error_log stderr; pid nginx.pid;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path body; client_max_body_size 64m; client_body_buffer_size 4m; keepalive_requests 10000000;
    server { listen 127.0.0.1:8080; location / { return 204; } }
}
"""
COLLECTOR = """\
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:4317', max_recv_msg_size_mib: 16}, http: {endpoint: '127.0.0.1:4318'}}}}
exporters: {debug: {verbosity: basic}}
service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines: {logs: {receivers: [otlp], exporters: [debug]}}
"""
NATS = "port: 4222\nhost: 127.0.0.1\njetstream { store_dir: nats }\n"
KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
log.dirs=kafka
offsets.topic.replication.factor=1
"""

# Name, what receives, its port, and the output.
OUTPUTS = [
    ("http, one a request", "nginx", 8080, "http_output: {enabled: true, url: 'http://127.0.0.1:8080/'}"),
    ("http, batches, gzip", "nginx", 8080, "http_output: {enabled: true, url: 'http://127.0.0.1:8080/', peregrine: "
     "{batch: {form: ndjson}, encoding: gzip}}"),
    ("otlp, one a request", "otelcol", 4317,
     "otlp_output: {enabled: true, endpoint: 'http://127.0.0.1:4317', protocol: grpc, batch: {max_alerts: 1}}"),
    ("otlp, grpc, gzip", "otelcol", 4317, "otlp_output: {enabled: true, endpoint: 'http://127.0.0.1:4317', protocol: grpc}"),
    ("otlp, grpc", "otelcol", 4317,
     "otlp_output: {enabled: true, endpoint: 'http://127.0.0.1:4317', protocol: grpc, compression: none}"),
    ("otlp, http, gzip", "otelcol", 4318,
     "otlp_output: {enabled: true, endpoint: 'http://127.0.0.1:4318', protocol: http/protobuf}"),
    ("nats", "nats-server", 4222, "nats_output: {enabled: true, servers: ['nats://127.0.0.1:4222']}"),
    ("kafka", "kafka", 9092, "kafka_output: {enabled: true, brokers: ['127.0.0.1:9092'], topic: alerts}"),
]


def cpu_of(pid):
    """CPU seconds of a process that runs."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loopback_bytes():
    return int(re.search(r"lo: *(\d+)", open("/proc/net/dev").read())[1])


class Bench:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.write("rules.yaml", RULE)

    def write(self, name, text):
        with open(os.path.join(self.scratch, name), "w") as out:
            out.write(text)
        return os.path.join(self.scratch, name)

    def replay(self, output):
        """CPU seconds of the program, and what it says at the end."""
        config = self.write("falco.yaml", CONFIG % (os.path.abspath(self.options.capture), output))
        with open(os.path.join(self.scratch, "stdout"), "w+") as out:
            args = [os.path.abspath(self.options.bin), "-c", config, "-r", os.path.join(self.scratch, "rules.yaml")]
            child = subprocess.Popen(args, cwd=self.scratch, stdout=out, stderr=out)
            _, status, usage = os.wait4(child.pid, 0)
            out.seek(0)
            said = out.read()
        return usage.ru_utime + usage.ru_stime, said, status

    def receiver(self, name):
        """The command of a receiver, if it is installed."""
        if name == "kafka":
            if not self.options.kafka or not shutil.which("java"):
                return None
            java = ["java", "-Xmx512m", "-cp", self.options.kafka]
            properties = self.write("server.properties", KAFKA)
            format = ["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", properties]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            if subprocess.run(java + format, cwd=self.scratch, **quiet).returncode:
                return None
            return java + ["kafka.Kafka", properties]
        program = shutil.which(self.options.otelcol if name == "otelcol" else name)
        file = {"nginx": NGINX, "otelcol": COLLECTOR, "nats-server": NATS}[name]
        option = {"nginx": ["-p", self.scratch, "-c"], "otelcol": ["--config"], "nats-server": ["-c"]}[name]
        return [program] + option + [self.write(f"{name}.conf", file)] if program else None

    def measure(self, name, receiver, port, output, alerts, base):
        command = self.receiver(receiver)
        if not command:
            return f"| {name} | {receiver} is not installed |"
        log = open(os.path.join(self.scratch, "receiver.log"), "w")
        server = subprocess.Popen(command, cwd=self.scratch, stdout=log, stderr=log)
        try:
            wait_for(port)
            prepare(receiver, self.scratch, command[:4])
            before, busy = loopback_bytes(), cpu_of(server.pid)
            cpu, said, status = self.replay(output)
            sent, busy = loopback_bytes() - before, cpu_of(server.pid) - busy
            if status or "Alerts lost" in said:
                return f"| {name} | failed: {said[-800:]} |"
            each = lambda seconds: f"{seconds / alerts * 1e6:.1f}"
            return f"| {name} | {sent / alerts:.0f} | {each(cpu - base)} | {each(busy)} |"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def wait_for(port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def prepare(receiver, scratch, java):
    """A stream that takes the subjects of the alerts, or a topic."""
    if receiver == "kafka":
        topic = ["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", "127.0.0.1:9092", "--create", "--topic", "alerts"]
        subprocess.run(java + topic, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if receiver == "nats-server":
        stream = {"name": "ALERTS", "subjects": ["alerts.>"], "storage": "file", "num_replicas": 1}
        with socket.create_connection(("127.0.0.1", 4222)) as nats:
            payload = json.dumps(stream).encode()
            nats.sendall(b"CONNECT {\"verbose\":false}\r\nSUB _INBOX.1 1\r\n")
            nats.sendall(b"PUB $JS.API.STREAM.CREATE.ALERTS _INBOX.1 %d\r\n%s\r\n" % (len(payload), payload))
            answer = b""
            while b"stream_create_response" not in answer:
                answer += nats.recv(65536)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release/peregrine")
    parser.add_argument("--capture", required=True)
    parser.add_argument("--otelcol", default="otelcol")
    parser.add_argument("--kafka", help="class path of the broker")
    parser.add_argument("outputs", nargs="*")
    options = parser.parse_args()
    if "PEREGRINE_BENCH_NAMESPACE" not in os.environ:
        os.environ["PEREGRINE_BENCH_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(options, scratch)
        runs = [bench.replay("file_output: {enabled: true, filename: /dev/null, keep_alive: true}") for _ in range(3)]
        alerts = int(re.search(r"Events detected: (\d+)", runs[0][1])[1])
        base = min(cpu for cpu, _, _ in runs)
        print(f"{alerts} alerts; into /dev/null each costs the agent {base / alerts * 1e6:.1f} µs\n")
        print("| output | bytes | agent, µs | receiver, µs |\n|---|---|---|---|")
        for name, *rest in OUTPUTS:
            if not options.outputs or any(word in name for word in options.outputs):
                print(bench.measure(name, *rest, alerts, base), flush=True)


main()
