//! Checks before the first event.

use anyhow::{Context, bail};
use peregrine_config::{ConfigError, Engine, Loaded};
use peregrine_output::{ChannelOutput, ChannelSettings, Delivery, HttpError, TlsFile, UrlOf};

use super::setup::Setup;
use super::{brokers, delivery, spool};
use peregrine_args::LoadArgs;

/// The one event source that exists without plugins.
pub(crate) const SYSCALL: &str = "syscall";

/// Plugins other than the built-in one can't be loaded.
pub(crate) fn plugins(setup: &Setup) -> anyhow::Result<()> {
    let foreign = setup.loaded.plugins.iter().find(|plugin| plugin.name != "container");
    if let Some(plugin) = foreign {
        bail!(
            "plugins are not supported yet: cannot load '{}' from {} (leave it out of load_plugins)",
            plugin.name,
            plugin.library_path.display()
        );
    }
    Ok(())
}

/// `--enable-source` and `--disable-source`, which a replay ignores.
pub(crate) fn sources(setup: &Setup, args: &LoadArgs) -> anyhow::Result<()> {
    let (enable, disable) = (&args.enable_source, &args.disable_source);
    if setup.replays() {
        return Ok(());
    }
    if !enable.is_empty() && !disable.is_empty() {
        bail!("You can not mix --enable-source and --disable-source");
    }
    if let Some(unknown) = enable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted enabling an unknown event source: {unknown}");
    }
    if let Some(unknown) = disable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted disabling an unknown event source: {unknown}");
    }
    if !disable.is_empty() {
        bail!("Must enable at least one event source");
    }
    Ok(())
}

/// Size and number of the kernel's ring buffers.
pub(crate) fn buffers(setup: &Setup) -> anyhow::Result<()> {
    let Engine::Live { kmod, settings } = &setup.config().engine else { return Ok(()) };
    let size = settings.ring_size.bytes();
    let megabytes = size >> 20;
    setup.log.info(format_args!(
        "The chosen syscall buffer dimension is: {size} bytes ({megabytes} MBs)"
    ));
    let cpus = peregrine_probe::bpf::online_cpus().context("CPUs of this machine")?;
    let wanted = settings.cpus_for_each_buffer;
    if !kmod && u32::from(wanted) > cpus {
        setup.log.warning(format_args!(
            "you required a buffer every '{wanted}' CPUs but there are only '{cpus}' online CPUs. Falco changed the config to: one buffer every '{cpus}' CPUs"
        ));
    }
    Ok(())
}

/// How and where alerts are delivered, with everything that this needs.
pub(crate) fn outputs(setup: &Setup) -> anyhow::Result<Delivery> {
    brokers::check(&setup.loaded)?;
    let (loaded, delivery) = (&setup.loaded, delivery::delivery(setup.config())?);
    loaded.check_outputs()?;
    for ChannelSettings { output, format, spool, .. } in &delivery.channels {
        if let Some(spool) = spool {
            spool::check(loaded, output, spool)?;
        }
        match output {
            ChannelOutput::Http(http) => http
                .check(format.layout.is_json())
                .map_err(|error| http_error(loaded, HTTP, &error))?,
            #[cfg(feature = "otlp")]
            ChannelOutput::Otlp(otlp) => {
                otlp.check().map_err(|error| http_error(loaded, OTLP, &error))?;
            }
            _ => {}
        }
        let Some((section, tls)) = output.tls() else { continue };
        let warnings = tls.check().map_err(|error| {
            let key = tls_key(loaded, section, error.file);
            loaded.error(&key, format!("{key}: {error}"), error.remedy())
        })?;
        for warning in warnings {
            let key = tls_key(loaded, section, warning.file);
            setup.warn(&loaded.doubtful(&key, format!("{key}: {warning}")));
        }
    }
    Ok(delivery)
}

/// The section with the keys of the HTTP client, and the key with the URL.
const HTTP: (&str, &str) = ("http_output.peregrine", "http_output.url");
#[cfg(feature = "otlp")]
const OTLP: (&str, &str) = ("otlp_output", "otlp_output.endpoint");

fn http_error(loaded: &Loaded, (own, url): (&str, &str), error: &HttpError) -> ConfigError {
    let (key, help) = match error {
        HttpError::Url { of: UrlOf::Proxy, .. } => (
            format!("{own}.proxy"),
            "such as `http://host:3128`; the variables of the environment count too",
        ),
        HttpError::Header { name, .. } => (format!("{own}.headers.{name}"), "remove or correct it"),
        HttpError::ArrayOfText => {
            (format!("{own}.batch.form"), "set json_output, or the form to `ndjson`")
        }
        HttpError::BadToken => (format!("{own}.bearer_token"), "a token is one word"),
        HttpError::TokenFile { .. } => {
            (format!("{own}.bearer_token_file"), "a file with one word that this user may read")
        }
        _ => (url.to_owned(), "such as `https://host:port/path`"),
    };
    loaded.error(&key, format!("{key}: {error}"), help)
}

/// The key that names a file of TLS.
fn tls_key(loaded: &Loaded, section: &str, file: TlsFile) -> String {
    let authorities = match section {
        "http_output" => {
            let mut given = ["ca_cert", "ca_bundle"].into_iter();
            given.find(|key| loaded.label(&format!("{section}.{key}")).is_some())
        }
        _ => Some("ca"),
    };
    let key = match file {
        TlsFile::Authorities => authorities.unwrap_or("ca_path"),
        TlsFile::Certificate => "client_cert",
        TlsFile::Key => "client_key",
    };
    format!("{section}.{key}")
}
