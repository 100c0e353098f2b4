//! What wins, what is refused, and how that reads.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::table::{Kind, TABLE};
use super::{File, Loaded, Sources, load};
use crate::settings::StoreSettings;

/// Sources from a file, variables and flags.
fn sources(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let file = File {
        name: "larder.toml".into(),
        text: file.into(),
    };
    Sources {
        file: Some(file),
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        flags: flags
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    }
}

fn loaded(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    load(&sources(file, variables, flags)).unwrap()
}

fn errors(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    match load(&sources(file, variables, flags)) {
        Ok(loaded) => panic!("accepted:\n{}", loaded.effective),
        Err(problems) => problems.errors,
    }
}

fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    loaded("", variables, &[]).warnings
}

#[test]
fn every_default_is_accepted_and_shown() {
    let loaded = load(&Sources::default()).unwrap();
    for setting in TABLE {
        let units = super::value::Units::Required;
        assert!(
            setting.kind.parse(setting.default, units).is_ok(),
            "{}",
            setting.path
        );
        let line = format!("{} = ", setting.path);
        assert!(
            loaded.effective.contains(&line),
            "{line} in\n{}",
            loaded.effective
        );
    }
    assert!(
        loaded
            .effective
            .contains("resp.addr = 127.0.0.1:6380 (default)\n")
    );
    assert!(loaded.warnings.is_empty());
    let settings = loaded.settings;
    assert_eq!(
        (settings.resp.max_clients, settings.resp.max_args),
        (10_000, 65_536)
    );
    assert_eq!(
        (settings.ttl.default, settings.resp.idle_timeout),
        (None, None)
    );
    assert_eq!(settings.resp.identity.version, "7.4.0");
    assert!(settings.enabled && matches!(settings.store, StoreSettings::Memory(_)));
}

#[test]
fn the_requirement_s_configuration_works_literally() {
    let variables = [
        ("CACHE_ENABLED", "true"),
        ("CACHE_TYPE", "memory"),
        ("CACHE_TTL_DEFAULT", "3600"),
        ("CACHE_TTL_SESSION", "86400"),
        ("CACHE_TTL_CONFIG", "300"),
        ("CACHE_POOL_MIN_SIZE", "5"),
        ("CACHE_POOL_MAX_SIZE", "20"),
        ("CACHE_POOL_TIMEOUT", "5000"),
    ];
    let loaded = loaded("", &variables, &[]);
    assert_eq!(
        loaded.settings.ttl.default,
        Some(Duration::from_secs(3_600))
    );
    let named: Vec<_> = loaded.settings.ttl.named.iter().collect();
    let lives = named
        .iter()
        .map(|named| (named.pattern.as_slice(), named.ttl.as_secs()));
    let expected: [(&[u8], u64); 4] = [
        (b"config:*", 300),
        (b"*:config:*", 300),
        (b"session:*", 86_400),
        (b"*:session:*", 86_400),
    ];
    assert!(lives.eq(expected));
    assert!(
        loaded
            .effective
            .contains("pool.timeout = 5s (env CACHE_POOL_TIMEOUT)\n")
    );
    assert!(loaded.warnings.is_empty());
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let file = "[ttl]\ndefault = \"1m\"\n[resp]\nmax_clients = 7\nmax_args = 100\n";
    let env = [("CACHE_RESP_MAX_CLIENTS", "8"), ("CACHE_TTL_DEFAULT", "2m")];
    let loaded = loaded(file, &env, &[("ttl-default", "180")]);
    for line in [
        "ttl.default = 3m (flag --ttl-default)\n",
        "resp.max_clients = 8 (env CACHE_RESP_MAX_CLIENTS)\n",
        "resp.max_args = 100 (larder.toml:5)\n",
        "resp.max_value = 16MiB (default)\n",
    ] {
        assert!(
            loaded.effective.contains(line),
            "{line} in\n{}",
            loaded.effective
        );
    }
    assert_eq!(loaded.settings.ttl.default, Some(Duration::from_secs(180)));
}

#[test]
fn a_file_can_say_which_keys_a_named_cache_covers() {
    let file = "[ttl.named.session]\nttl = \"24h\"\nmatch = \"app:session:*\"\n\
                [ttl.named]\nflags = \"5m\"\n";
    let loaded = loaded(file, &[("CACHE_TTL_SESSION", "60")], &[("ttl", "page=10")]);
    let named = loaded.settings.ttl.named.iter();
    let found: Vec<_> = named
        .map(|named| (named.pattern.as_slice(), named.ttl.as_secs()))
        .collect();
    let expected: [(&[u8], u64); 5] = [
        (b"flags:*", 300),
        (b"*:flags:*", 300),
        (b"page:*", 10),
        (b"*:page:*", 10),
        (b"app:session:*", 60),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_error_names_its_source_its_value_and_what_is_accepted() {
    let file = "enabled = true\n\n[resp]\nmax_clients = 0\nframe_timeout = 10\n";
    let env = [("CACHE_TTL_DEFAULT", "soon"), ("CACHE_TYPE", "disk")];
    let errors = errors(file, &env, &[("resp", "nowhere")]);
    let expected = [
        "larder.toml:4: resp.max_clients = \"0\" is out of range – accepted: 1 to 1000000",
        "larder.toml:5: resp.frame_timeout = \"10\" has no unit; write \"10ms\" – accepted: 1ms",
        "CACHE_TTL_DEFAULT=\"soon\" is not a duration – accepted: 1ms to 3650d, or none, written",
        "CACHE_TYPE=\"disk\" is none of them – accepted: memory, redis, sentinel",
        "--resp \"nowhere\" is not an address – accepted: an IP address and a port",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    let file = "tll = 1\n[resp]\nadr = \"x\"\n[htpp]\na = 1\n[ttl.named.s]\ntttl = \"1s\"\n";
    assert_eq!(
        errors(file, &[], &[]),
        [
            "larder.toml:1: unknown key \"tll\" – did you mean \"ttl\"?",
            "larder.toml:3: unknown key \"resp.adr\" – did you mean \"resp.addr\"?",
            "larder.toml:4: unknown key \"htpp\" – did you mean \"http\"?",
            "larder.toml:7: unknown key \"ttl.named.s.tttl\" – did you mean \"ttl.named.s.ttl\"?",
        ]
    );
}

#[test]
fn unknown_variables_are_warned_about() {
    let env = [
        ("CACHE_TPYE", "redis"),
        ("CACHE_MAX_CLIENTS", "1"),
        ("CACHE_TTL_DEFUALT", "60"),
        ("CACHE_BUILD_DIR", "x"),
        ("CACHE_EMPTY", ""),
        ("OTHER", "x"),
    ];
    assert_eq!(
        warnings(&env),
        [
            "CACHE_BUILD_DIR is not a setting – it is ignored; larder serve --help lists all",
            "CACHE_MAX_CLIENTS is not a setting – did you mean CACHE_RESP_MAX_CLIENTS?",
            "CACHE_TPYE is not a setting – did you mean CACHE_TYPE?",
            "CACHE_TTL_DEFUALT is read as the life of a cache named \"defualt\" – did you mean \
             CACHE_TTL_DEFAULT?",
        ]
    );
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let errors = errors("enabled = true\nresp = [\n", &[], &[]);
    assert!(errors[0].starts_with("larder.toml:"), "{errors:?}");
    assert!(errors.iter().all(|error| !error.contains('\n')));
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    for (env, expected) in [
        (
            &[("CACHE_TYPE", "redis")][..],
            "CACHE_TYPE=redis needs a server – set CACHE_URL",
        ),
        (
            &[("CACHE_TYPE", "ring")],
            "CACHE_TYPE=ring is not available in this version",
        ),
        (
            &[("CACHE_POOL_MIN_SIZE", "30")],
            "CACHE_POOL_MIN_SIZE=30 is more than pool.max_size = 20 (default)",
        ),
        (
            &[("CACHE_RESP_ADDR", "0.0.0.0:6380")],
            "CACHE_RESP_ADDR=0.0.0.0:6380 would let anybody on the network in without a password",
        ),
        (
            &[("CACHE_HTTP_ADDR", "127.0.0.1:6380")],
            "resp.addr = 127.0.0.1:6380 (default) and CACHE_HTTP_ADDR=127.0.0.1:6380 are the same",
        ),
        (
            &[("CACHE_RESP_MAX_VALUE", "128MiB")],
            "resp.max_output = 64MiB (default) is less than",
        ),
        (
            &[("CACHE_TTL_NAMED_A_MATCH", "a*")],
            "CACHE_TTL_NAMED_A_MATCH=a* has no life",
        ),
    ] {
        let errors = errors("", env, &[]);
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].starts_with(expected), "{}", errors[0]);
    }
    let exposed = ("CACHE_RESP_ADDR", "[::]:6380");
    loaded("", &[exposed, ("CACHE_RESP_PASSWORD", "x")], &[]);
    loaded("", &[exposed, ("CACHE_RESP_PROTECTED", "false")], &[]);
}

#[test]
fn secrets_are_never_shown() {
    let url = "redis://user:sesame@cache:6379/0";
    let env = [
        ("CACHE_RESP_PASSWORD", "sesame"),
        ("CACHE_TYPE", "memory"),
        ("CACHE_URL", url),
    ];
    let loaded = loaded("", &env, &[]);
    assert!(!loaded.effective.contains("sesame"), "{}", loaded.effective);
    assert!(
        loaded
            .effective
            .contains("url = redis://user:***@cache:6379/0 (env CACHE_URL)")
    );
    assert!(
        loaded
            .effective
            .contains("resp.password = *** (env CACHE_RESP_PASSWORD)")
    );
    assert!(loaded.warnings.iter().all(|line| !line.contains("sesame")));
    let password = loaded.settings.resp.password.unwrap();
    assert_eq!(password.expose_secret(), "sesame");
    let errors = errors("", &[("CACHE_URL", "http://user:sesame@cache")], &[]);
    assert!(
        errors.iter().all(|error| !error.contains("sesame")),
        "{errors:?}"
    );
}

#[test]
fn secrets_can_be_kept_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "open sesame\n").unwrap();
    let path = path.to_str().unwrap();
    let file = format!("[resp]\npassword_file = {path:?}\n");
    for (file, env, flags) in [
        (file.as_str(), &[][..], &[][..]),
        ("", &[("CACHE_RESP_PASSWORD_FILE", path)], &[]),
        ("", &[], &[("password-file", path)]),
    ] {
        let settings = loaded(file, env, flags).settings;
        let password = settings.resp.password.unwrap();
        assert_eq!(password.expose_secret(), "open sesame");
    }
    let found = errors("", &[("CACHE_RESP_PASSWORD_FILE", "/no/such")], &[]);
    assert!(
        found[0].contains("\"/no/such\" cannot be read – "),
        "{found:?}"
    );
    let both = [
        ("CACHE_RESP_PASSWORD_FILE", path),
        ("CACHE_RESP_PASSWORD", "x"),
    ];
    assert!(errors("", &both, &[])[0].ends_with("are both set – keep one"));
}

#[test]
fn every_kind_says_what_it_accepts() {
    let odd = [
        ("CACHE_RESP_SERVER", "two words"),
        ("CACHE_LOG_LEVEL", "loud"),
    ];
    for error in errors("", &odd, &[]) {
        assert!(error.contains(" – accepted: "), "{error}");
    }
    assert!(Kind::Bool.accepted().contains("true"));
}
