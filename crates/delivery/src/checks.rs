//! Whether outputs can be used, told with the places of their keys.

use peregrine_config::{ConfigError, Loaded};
use peregrine_diagnostics::Problem;
use peregrine_engine::{AlertTemplate, Generation};
use peregrine_output::{
    ChannelOutput, ChannelSettings, Delivery, HttpError, NameCollision, TlsFile, UrlOf,
};

use crate::outputs::{delivery, field_changes};
use crate::{DeliveryError, Identity, brokers, spool};

/// How and where alerts are delivered, with everything that this needs.
///
/// # Errors
/// No output is enabled, or one cannot be used.
pub fn checked(
    loaded: &Loaded,
    identity: &Identity,
    warn: &mut dyn FnMut(&Problem),
) -> Result<Delivery, DeliveryError> {
    brokers::check(loaded)?;
    let delivery = delivery(&loaded.config, identity)?;
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
            warn(&loaded.doubtful(&key, format!("{key}: {warning}")));
        }
    }
    Ok(delivery)
}

/// No output gives two fields of an alert the same name.
///
/// # Errors
/// Names the key, the rule and the fields.
pub fn renamed(loaded: &Loaded, generation: &Generation) -> Result<(), ConfigError> {
    for (section, presentation) in loaded.config.presentations() {
        let changes = field_changes(&presentation);
        let rules = (0..).map_while(|index| generation.template(index)).map(AlertTemplate::rule);
        for rule in rules {
            if let Some(NameCollision { fields: [one, two], name }) =
                changes.collision(rule.fields())
            {
                let key = format!("{section}.fields.rename");
                let rule = rule.name();
                let message = format!(
                    "{key}: alerts of rule '{rule}' have {one} and {two}, and both would be '{name}'"
                );
                let help = "choose another name, or drop one of the two";
                return Err(loaded.error(&key, message, help));
            }
        }
    }
    Ok(())
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
