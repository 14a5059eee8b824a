//! Ways out: commands, addresses, pictures and sentences that carry secrets, files or the conversation to somebody else.

use crate::page::Page;
use crate::shell::{Kind, Token};
use crate::words::{self, Word, is_explained, is_warning};
use crate::{Finding, Rule};

/// Files that hold keys or what a user did.
const PRIVATE: &[&str] = &[
    ".ssh/id_",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    ".ssh/",
    ".aws/credentials",
    "/.aws",
    ".netrc",
    ".kube/config",
    ".gnupg",
    "/etc/passwd",
    "/etc/shadow",
    "bash_history",
    "zsh_history",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".docker/config.json",
    "wallet.dat",
    "login.keychain",
    "cookies.sqlite",
    "/proc/self/environ",
    "/run/secrets",
    ".config/gcloud",
    ".openclaw/",
    ".claude.json",
    "auth-profiles.json",
    ".vault-token",
    ".pgpass",
];

/// Hosts, or labels of hosts, that show a stranger what is sent to them.
const COLLECTORS: &[&str] = &[
    "webhook.site",
    "requestbin",
    "pipedream.net",
    "ngrok",
    "ngrok-free",
    "beeceptor.com",
    "interact.sh",
    "oast.fun",
    "oast.me",
    "oast.pro",
    "oast.site",
    "oast.online",
    "oast.live",
    "oastify.com",
    "burpcollaborator.net",
    "hookbin.com",
    "requestcatcher.com",
    "postb.in",
    "dnslog.cn",
    "ceye.io",
    "termbin.com",
    "sprunge.us",
    "ix.io",
    "transfer.sh",
    "0x0.st",
    "file.io",
    "paste.rs",
    "pastebin.com",
    "hastebin.com",
    "canarytokens.com",
    "trycloudflare.com",
    "serveo.net",
    "loca.lt",
    "webhook.cool",
    "requestinspector.com",
    "pastebin",
    "bashupload.com",
    "temp.sh",
    "gofile.io",
];

fn is_sender(program: &str) -> bool {
    matches!(
        program,
        "curl"
            | "wget"
            | "nc"
            | "ncat"
            | "netcat"
            | "scp"
            | "rsync"
            | "sftp"
            | "socat"
            | "iwr"
            | "irm"
            | "invoke-webrequest"
            | "invoke-restmethod"
            | "rclone"
            | "httpie"
            | "xh"
            | "sendmail"
            | "mailx"
            | "telnet"
    )
}

fn is_private(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',']);
    let holds =
        PRIVATE.iter().any(|private| word.contains(private)) || word.ends_with(".env") || word.contains(".env.");
    let is_other = word.ends_with(".pub")
        || ["known_hosts", "://", ".env.example", ".env.sample", ".env.template"]
            .iter()
            .any(|part| word.contains(part));
    holds && !is_other
}

/// Returns whether a name is that of a secret.
fn is_secret(name: &str) -> bool {
    ["token", "key", "secret", "passw", "credential", "auth"].iter().any(|part| name.contains(part))
        && !["public", "keyword", "author", "monkey", "tokens_used"].iter().any(|part| name.contains(part))
}

/// Finds what one line of commands sends.
pub(crate) fn find_commands(page: &Page<'_>, line: &[Token<'_>], found: &mut Vec<Finding>) {
    let mut push = |start: usize, end: usize, why: &str| {
        if page.is_code(start) || !is_warning(&page.lead(start)) {
            found.push(page.finding(Rule::Exfiltration, (start, end), why));
        }
    };
    let senders: Vec<usize> = (0..line.len()).filter(|at| is_sender(line[*at].program())).take(16).collect();
    if let (Some(first), Some(last)) = (senders.first(), senders.last()) {
        let sender = &line[*first];
        for (at, token) in line.iter().enumerate() {
            if token.kind == Kind::Word && is_private(&token.word) && is_sent(line, at, *first, *last) {
                push(
                    sender.start.min(token.start),
                    token.end.max(sender.end),
                    "sends a file that holds keys or what a user did",
                );
                break;
            }
            let is_dump =
                matches!(token.program(), "env" | "printenv" | "set" | "history" | "gci" | "declare" | "export");
            let is_first = at == 0
                || line[at - 1].kind != Kind::Word
                || matches!(line[at - 1].word.as_ref(), "$" | "-" | ">" | ":" | "sudo");
            let next = line.get(at + 1).map(|next| (next.kind, next.word.as_ref()));
            let next = if matches!(next, Some((Kind::Word, "-p" | "-0" | "env:"))) {
                line.get(at + 2).map(|next| (next.kind, ""))
            } else {
                next
            };
            let is_all = matches!(next, Some((Kind::Pipe, _)) if at < *last) || matches!(next, Some((Kind::Close, _)));
            if is_dump && (is_first || line[at - 1].kind == Kind::Tick) && is_all {
                push(sender.start.min(token.start), sender.end.max(token.end), "sends the whole environment");
                break;
            }
        }
    }
    names(line, &mut push);
}

/// Returns whether a private file is what a command sends, and not what it is configured with or what it writes.
fn is_sent(line: &[Token<'_>], at: usize, first: usize, last: usize) -> bool {
    let sender = line[first].program();
    let word = line[at].word.as_ref();
    let before = at.checked_sub(1).map(|before| &line[before]);
    let is_written = before.is_some_and(|before| before.kind == Kind::Output);
    let flags = [
        "-i",
        "--netrc-file",
        "--env-file",
        "--cacert",
        "--cert",
        "--key",
        "-e",
        "--config",
        "-k",
        "-o",
        "--output",
        "--identity",
        "-outfile",
    ];
    let is_option = before.is_some_and(|before| flags.contains(&before.word.as_ref()));
    let is_remote = matches!(sender, "scp" | "rsync" | "sftp") && word.contains(':');
    !is_written && !is_option && !is_remote && reaches(line, at, first, last)
}

/// Returns whether a file is part of what is sent: in one command with a sender, or read by one that hands on what it reads.
fn reaches(line: &[Token<'_>], at: usize, first: usize, last: usize) -> bool {
    let is_border = |token: &Token<'_>| matches!(token.kind, Kind::End | Kind::Tick);
    let is_near = |sender: usize| !line[sender.min(at)..sender.max(at)].iter().any(is_border);
    if is_near(first) || is_near(last) {
        return true;
    }
    let command = line[..at].iter().rposition(|token| token.kind != Kind::Word && token.kind != Kind::Input);
    let own = line[command.map_or(0, |border| border + 1)..at].first().map_or("", |token| token.program());
    matches!(own, "cat" | "tar" | "zip" | "gzip" | "cp" | "base64" | "7z" | "openssl" | "xxd") && at < last
        || line[command.unwrap_or(0)].kind == Kind::Tick && own == "cat"
}

/// Finds questions to name servers that hold an answer.
fn names(line: &[Token<'_>], push: &mut impl FnMut(usize, usize, &str)) {
    for (at, token) in line.iter().enumerate() {
        if !matches!(
            token.program(),
            "nslookup" | "dig" | "host" | "drill" | "ping" | "getent" | "resolvectl" | "resolve-dnsname"
        ) {
            continue;
        }
        let rest = &line[at + 1..line.len().min(at + 40)];
        let open = rest.iter().take(6).position(|each| matches!(each.kind, Kind::Substitution | Kind::Tick));
        let Some(open) = open else {
            let secret = rest
                .iter()
                .take(6)
                .find(|each| each.word.contains('$') && each.word.contains('.') && is_secret(&each.word));
            if let Some(secret) = secret {
                push(token.start, secret.end, "asks a name server for a name that holds a secret");
            }
            continue;
        };
        let closes = if rest[open].kind == Kind::Tick { Kind::Tick } else { Kind::Close };
        let close = rest.iter().skip(open + 1).position(|each| each.kind == closes).map(|close| open + 1 + close);
        if let Some(close) = close
            && let Some(next) = rest.get(close + 1)
            && next.start <= rest[close].end + 1
            && next.word.starts_with('.')
        {
            push(token.start, next.end, "asks a name server for a name that holds what a command printed");
        }
    }
}

/// Finds what is not a line of commands: addresses, pictures, code, sentences.
pub(crate) fn find_text(page: &Page<'_>, found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(next) = page.folded.get(at..).and_then(|rest| rest.find("://")) {
        let separator = at + next;
        at = separator + address(page, separator, found).max(3);
    }
    collectors(page, found);
    pictures(page, found);
    code(page, found);
    words::each_sentence(&page.folded, |sentence| said(page, sentence, found));
}

/// Judges an address, from the `://` on, and returns how long the rest of it is.
fn address(page: &Page<'_>, separator: usize, found: &mut Vec<Finding>) -> usize {
    let rest = page.slice(separator, separator + 600);
    let length =
        rest.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`')).unwrap_or(rest.len());
    let url = &rest[..length];
    let start = page.folded[..separator].rfind(|letter: char| !letter.is_alphanumeric()).map_or(0, |at| at + 1);
    let mut push = |end: usize, why: &str| {
        if page.is_code(start) || !is_warning(&page.lead(start)) {
            found.push(page.finding(Rule::Exfiltration, (start, end), why));
        }
    };
    if let Some(open) = url.find("$(") {
        let inner = rest[open + 2..].trim_start();
        let program = inner.split(|letter: char| letter.is_whitespace() || letter == ')').next().unwrap_or("");
        let harmless = [
            "date",
            "seq",
            "echo",
            "printf",
            "uuidgen",
            "basename",
            "uname",
            "arch",
            "dpkg",
            "lsb_release",
            "git",
            "nproc",
            "jq",
            "rpm",
            "go",
            "python3",
        ];
        if !harmless.contains(&program) || is_private(inner.split(')').next().unwrap_or("")) {
            push(separator + open + 2, "an address that holds what a command printed");
        }
    }
    let Some(query) = url.find('?') else { return length };
    for (at, _) in url[query..].match_indices(['$', '{', '%']) {
        let name: String = url[query + at + 1..]
            .trim_start_matches(['{', '%', 'e', 'n', 'v', ':'].as_slice())
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        let is_variable = url[query + at..].starts_with('$') || url[query + at..].starts_with("{{");
        let whole: String = url[query + at + 1..]
            .trim_start_matches(['{', ':'])
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if is_variable && (is_secret(&name) || is_secret(&whole)) {
            push(separator + url.len(), "an address that holds a secret");
            break;
        }
    }
    length
}

/// Finds the hosts of collectors, with or without a scheme before them.
fn collectors(page: &Page<'_>, found: &mut Vec<Finding>) {
    let text = &page.folded;
    let mut push = |start: usize, end: usize, why: &str| {
        let lead = page.lead(start);
        if page.is_code(start) || !(is_warning(&lead) || is_explained(&lead)) {
            found.push(page.finding(Rule::Exfiltration, (start, end), why));
        }
    };
    let bytes = text.as_bytes();
    // Every host has a dot: what is around each is looked at.
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(&bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
        let host = &text[at..at + length];
        let is_host = host.contains('.')
            && (text[..at].ends_with("//")
                || text[at + length..].starts_with('/')
                || text[..at].ends_with(' ')
                || text[..at].ends_with('@'));
        if is_host && length < 254 {
            let host = host.trim_matches('.');
            let is_it = |known: &str| {
                if known.contains('.') {
                    host == known || host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'))
                } else {
                    host.split('.').any(|label| label == known)
                }
            };
            if COLLECTORS.iter().any(|known| is_it(known)) {
                push(at, at + length, "a host that shows strangers what is sent to it");
            }
            let rest = page.slice(at + length, at + length + 24);
            let is_hook = matches!(host, "discord.com" | "discordapp.com")
                && rest
                    .strip_prefix("/api/webhooks/")
                    .is_some_and(|id| id.starts_with(|digit: char| digit.is_ascii_digit()));
            let is_bot = host == "api.telegram.org"
                && rest.strip_prefix("/bot").is_some_and(|id| id.starts_with(|digit: char| digit.is_ascii_digit()));
            if is_hook || is_bot {
                push(at, at + length, "a chat of somebody's own, its key in the address");
            }
        }
        at += length;
    }
}

/// Finds pictures whose address is filled in by whoever writes the answer: showing it sends it.
fn pictures(page: &Page<'_>, found: &mut Vec<Finding>) {
    let markdown = page.places("![").filter_map(|at| {
        let rest = page.slice(at, at + 800);
        let open = rest.find("](")?;
        let end = rest[open..].find([')', '\n'])?;
        Some((at, at + open + 2, at + open + end))
    });
    let html = page.places("<img").filter_map(|at| {
        let rest = page.slice(at, at + 800);
        let open = rest.find("src=")?;
        let end = rest[open..].find(|letter: char| letter == '>' || letter.is_whitespace())?;
        Some((at, at + open + 4, at + open + end))
    });
    for (at, start, end) in markdown.chain(html) {
        let url = page.slice(start, end);
        if !url.contains("//") {
            continue;
        }
        let is_hole = |part: &str| ["{", "[", "<", "${", "%s", "$"].iter().any(|open| part.contains(open));
        let talk = [
            "conversation",
            "message",
            "history",
            "secret",
            "token",
            "context",
            "prompt",
            "summary",
            "api_key",
            "answer",
        ];
        let query = url.find('?').map_or("", |query| &url[query..]);
        let is_out = is_hole(query) || is_hole(url) && talk.iter().any(|word| url.contains(word));
        if is_out && (page.is_code(at) || !is_warning(&page.lead(at))) {
            found.push(page.finding(Rule::Exfiltration, (at, end), "a picture whose address carries what was said"));
        }
    }
}

const CALLS: &[&str] = &[
    "requests.post(",
    "requests.get(",
    "requests.put(",
    "requests.request(",
    "urlopen(",
    "fetch(",
    "axios.post(",
    "axios.get(",
    "axios(",
    "httpx.post(",
    "httpx.get(",
    "http.post(",
    "got.post(",
    "xmlhttprequest",
    "sendbeacon(",
    "socket.send",
    "sendall(",
    "httpclient",
    "net::http",
    "file_get_contents(\"http",
    "urlretrieve(",
];

/// Finds calls that send the environment or a private file.
fn code(page: &Page<'_>, found: &mut Vec<Finding>) {
    for call in CALLS {
        for at in page.places(call) {
            let after = page.slice(at, at + 400);
            let after = after.split("\n\n").next().unwrap_or(after);
            let before = page.slice(at.saturating_sub(300), at);
            let before = before.rsplit("\n\n").next().unwrap_or(before);
            let opens = |text: &str| {
                ["open(", "readfile", "read_text", "read_bytes", "file_get_contents"]
                    .iter()
                    .any(|open| text.contains(open))
                    && text.split(['"', '\'']).any(|part| part.len() < 120 && is_private(part))
            };
            let why = if takes_environment(after)
                || before.contains("dict(os.environ)")
                || before.contains("json.stringify(process.env)")
            {
                Some("sends the environment, or a secret of it in an address")
            } else if opens(after) || opens(before) {
                Some("sends a file that holds keys or what a user did")
            } else {
                None
            };
            if let Some(why) = why {
                found.push(page.finding(Rule::Exfiltration, (at, at + call.len()), why));
            }
        }
    }
}

/// Returns whether a call holds the whole environment, or a secret of it behind a `?`.
fn takes_environment(call: &str) -> bool {
    ["os.environ", "process.env", "env::vars", "env.to_h", "$_env", "system.getenv()"].iter().any(|name| {
        call.match_indices(name).any(|(at, _)| {
            let rest = call[at + name.len()..].trim_start_matches(".copy()");
            match rest.chars().next() {
                Some('.' | '[') => {
                    let named = rest.split([')', ']', ',', '\n']).next().unwrap_or("");
                    is_secret(named) && call[..at].contains('?') && !call[..at].contains("headers")
                }
                Some('_' | '\'') => false,
                _ => true,
            }
        })
    })
}

/// Judges a sentence: who sends what is private to an address.
fn said(page: &Page<'_>, sentence: &[Word<'_>], found: &mut Vec<Finding>) {
    let verb = sentence.iter().position(|word| {
        matches!(
            word.text.as_ref(),
            "send"
                | "post"
                | "upload"
                | "forward"
                | "submit"
                | "transmit"
                | "mail"
                | "e-mail"
                | "email"
                | "report"
                | "copy"
                | "deliver"
                | "exfiltrate"
                | "sends"
                | "posts"
                | "uploads"
                | "forwards"
                | "leak"
                | "push"
                | "append"
                | "include"
                | "put"
                | "attach"
                | "encode"
                | "transfer"
        )
    });
    let Some(verb) = verb else { return };
    let rest = &sentence[verb + 1..];
    let goes = rest.iter().position(|word| {
        word.text.contains("://")
            || word.text.contains('@') && word.text.contains('.') && word.text.find('@') != Some(0)
    });
    let Some(goes) = goes else { return };
    let is_named = |word: &str, next: &str| {
        matches!(
            word,
            "conversation"
                | "conversations"
                | "transcript"
                | "credentials"
                | "secrets"
                | "passwords"
                | "keychain"
                | "cookies"
                | "environment"
        ) || matches!(
            (word, next),
            ("api" | "private" | "ssh" | "access", "key" | "keys" | "tokens")
                | ("chat", "history" | "log" | "logs")
                | ("system", "prompt")
                | ("environment", "variables")
                | ("all", "messages")
                | (
                    "customer" | "customers" | "user" | "client" | "contact" | "employee",
                    "list" | "emails" | "e-mails" | "records" | "database"
                )
        ) || is_private(word)
    };
    let held = rest[..goes]
        .iter()
        .enumerate()
        .any(|(at, word)| is_named(&word.text, rest.get(at + 1).map_or("", |next| &next.text)));
    let is_refused = sentence[..verb]
        .iter()
        .rev()
        .take(4)
        .any(|word| matches!(word.text.as_ref(), "not" | "never" | "don't" | "no" | "cannot" | "without"));
    let lead = page.lead(sentence[verb].start);
    if held && !is_refused && !is_warning(&lead) && !is_explained(&lead) {
        let range = (sentence[verb].start, rest[goes].end);
        found.push(page.finding(Rule::Exfiltration, range, "tells the agent to send what is private to an address"));
    }
}
