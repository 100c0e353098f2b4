//! How a Redis server for a test differs from the plainest one.

/// What to start; [`RedisOptions::new`] is one TCP port on 127.0.0.1 without a password.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RedisOptions {
    pub(super) tls: bool,
    unix_socket: bool,
    password: Option<String>,
    user: Option<User>,
    args: Vec<String>,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    password: String,
    rules: String,
}

impl RedisOptions {
    /// Returns the plainest server.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on a Unix socket too.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Asks everybody for a password (the user `default`).
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds an ACL user by the given rules, such as `~app:* +@all`; it is the one in the URLs.
    pub fn user(
        mut self,
        name: impl Into<String>,
        password: impl Into<String>,
        rules: impl Into<String>,
    ) -> Self {
        let (name, password, rules) = (name.into(), password.into(), rules.into());
        self.user = Some(User {
            name,
            password,
            rules,
        });
        self
    }

    /// Listens on a TLS port too, with a certificate for `localhost` from an authority of its own.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Adds arguments for `redis-server`, such as `["--maxmemory", "1mb"]`.
    ///
    /// The log level must stay at its default: readiness is read from the log.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.unix_socket {
            arguments.extend(["--unixsocket", "redis.sock"].map(String::from));
        }
        if let Some(password) = &self.password {
            arguments.extend(["--requirepass".to_owned(), password.clone()]);
        }
        if let Some(User {
            name,
            password,
            rules,
        }) = &self.user
        {
            let rules = rules.split_whitespace().map(str::to_owned);
            arguments.extend(["--user".to_owned(), name.clone(), "on".to_owned()]);
            arguments.push(format!(">{password}"));
            arguments.extend(rules);
        }
        arguments.extend(self.args.iter().cloned());
        arguments
    }

    /// Returns the user and password to log in with, if there is a need to.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        let user = self
            .user
            .as_ref()
            .map(|user| (user.name.as_str(), user.password.as_str()));
        user.or(self
            .password
            .as_deref()
            .map(|password| ("default", password)))
    }

    /// Returns `user:password@` for a URL; passwords of tests need no escapes.
    pub(super) fn userinfo(&self) -> String {
        self.credentials()
            .map_or_else(String::new, |(user, word)| format!("{user}:{word}@"))
    }
}
