//! Secrets that are known by their own shape, wherever they stand.

use super::Pattern;

const fn token(
    name: &'static str,
    hints: &'static [&'static str],
    regex: &'static str,
    examples: &'static [&'static str],
) -> Pattern {
    Pattern { name, hints, regex, examples }
}

/// The patterns, those that name their service first.
pub(super) const TOKENS: &[Pattern] = &[
    token(
        "a private key",
        &["private key-----", "private key block-----", "AGE-SECRET-KEY-", "AGE-PLUGIN-"],
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|.*)|\bAGE-(?:SECRET-KEY-|PLUGIN-[A-Z0-9]+-)1[A-Z0-9]{20,}",
        &[
            "echo '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk' > id",
            "echo \"-----BEGIN RSA PRIVATE KEY-----\" | openssl rsa",
            "cat <<E\n-----BEGIN PGP PRIVATE KEY BLOCK-----\nE",
            "age -d -i <(echo AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQ) x",
        ],
    ),
    token(
        "an Anthropic key",
        &["sk-ant-"],
        r"\bsk-ant-[A-Za-z0-9_-]{8,}",
        &["export KEY1=sk-ant-api03-AbCdEfGhIjKlMnOp", "curl -H 'x: sk-ant-admin01-AAAAbbbbCCCC' https://a"],
    ),
    token(
        "an OpenAI key",
        &["sk-"],
        r"\bsk-(?:(?P<secret>(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{8,})|(?P<random>[A-Za-z0-9]{20,}))",
        &[
            "X=sk-proj-AbCdEfGhIjKl",
            "openai -k sk-a1Bcdefghijkl2Mnopqr3stuvwx12345678",
            "llm keys set sk-svcacct-AAAAbbbb",
        ],
    ),
    token(
        "a key of an AI service",
        &[
            "sk-or-v1-",
            "gsk_",
            "xai-",
            "pplx-",
            "r8_",
            "tgp_v1_",
            "nvapi-",
            "lsv2_",
            "sk-lf-",
            "hf_",
            "api_org_",
            "sk_",
            "fw_",
            "AQ.",
        ],
        r"\b(?:sk-or-v1-[a-f0-9]{32,}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{60,}|pplx-[A-Za-z0-9]{32,}|r8_[A-Za-z0-9]{30,}|tgp_v1_[A-Za-z0-9_-]{30,}|nvapi-[A-Za-z0-9_-]{40,}|lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{8,}|sk-lf-[a-f0-9-]{36}|(?:hf|api_org)_[A-Za-z0-9]{30,}|sk_[a-f0-9]{40,}|fw_[A-Za-z0-9]{22,}|AQ\.[A-Za-z0-9_-]{40,})",
        &[
            "huggingface-cli login hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
            "x gsk_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP",
        ],
    ),
    token(
        "an AWS access key",
        &["AKIA", "ASIA", "ABIA", "ACCA", "ABSK"],
        r"\b(?:(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b|ABSK[A-Za-z0-9+/]{60,}=*)",
        &["aws configure set aws_access_key_id AKIAIOSFODNN7EXAMPLE", "s3cmd --x ASIAABCDEFGHIJKLMNOP"],
    ),
    token(
        "an AWS secret key",
        &["secret_access_key", "secretaccesskey", "secret-access-key", "secret_accesskey", "secretaccess_key"],
        r#"(?i)\baws_?secret_?access_?key["']?\s*[=:\s]\s*["']?(?P<secret>[a-z0-9/+=]{40})"#,
        &["aws configure set aws_secret_access_key wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx"],
    ),
    token(
        "a GitHub token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
        &[
            "gh auth login ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "git push github_pat_11ABCDEFG0abcdefghijkl_mnopqrst",
        ],
    ),
    token(
        "a GitLab token",
        &[
            "glpat-",
            "glptt-",
            "glrt-",
            "gldt-",
            "glsoat-",
            "glft-",
            "glimt-",
            "glagent-",
            "glcbt-",
            "gloas-",
            "GR1348941",
        ],
        r"\b(?:gl(?:pat|ptt|rt|dt|soat|ft|imt|agent|cbt|oas)-[A-Za-z0-9_.-]{20,}|GR1348941[A-Za-z0-9_-]{20,})",
        &["glab x glpat-ABCDEFGHIJKLMNOPQRST", "gitlab-runner register glrt-abcdefghijklmnopqrst"],
    ),
    token(
        "a Slack token",
        &["xox", "xapp-", "hooks.slack.com"],
        r"\bxox[abceoprs][-.][A-Za-z0-9.-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows|triggers)/\w+/\w+[\w/]*",
        &[
            "slack -t xoxb-123456789012-abcdefABCDEF",
            "curl -d x https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX",
        ],
    ),
    token(
        "a key to a chat",
        &["api/webhooks/", "webhook.office.com", ":AA", "discord", "bot ", "/bot", "chat.googleapis.com"],
        r"\bdiscord(?:app)?\.com/api/webhooks/\d+/[\w-]{30,}|\bwebhook\.office\.com/webhookb2/[\w@-]+/\S+|\b(?:bot)?\d{8,10}:AA[A-Za-z0-9_-]{30,}|/bot\d{8,10}:[A-Za-z0-9_-]{35}\b|(?i:\b(?:discord\S*|bot)[\s=:]+)[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}|\bchat\.googleapis\.com/v1/spaces/\S+[?&]key=\S+",
        &[
            "curl https://api.telegram.org/bot 123456789:AAabcdefghijklmnopqrstuvwxyz012345",
            "curl -d x https://discord.com/api/webhooks/1234567890/abcdefghijklmnopqrstuvwxyzabcdefgh",
        ],
    ),
    token(
        "a key to payments",
        &["k_live_", "k_test_", "whsec_", "sq0atp-", "sq0csp-", "access_token$production$", "EZAK", "EZTK", "shippo_"],
        r"\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/]{16,}|sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}|access_token\$production\$[a-z0-9]{16}\$[a-f0-9]{32}|EZ[AT]K[A-Za-z0-9]{40,}|shippo_(?:live|test)_[a-f0-9]{40})",
        &["stripe charge sk_live_abcdefghijklmnop", "x rk_test_abcdefghijklmnop", "x whsec_abcdefghijklmnop"],
    ),
    token(
        "a token of a package registry",
        &["npm_", "pypi-AgE", "cio", "rubygems_", "oy2", "CLOJARS_", "dckr_", "AKCp"],
        r"\b(?:npm_[A-Za-z0-9]{36}\b|pypi-AgE[A-Za-z0-9_-]{16,}|cio[A-Za-z0-9]{32}\b|rubygems_[a-f0-9]{48}|oy2[a-z0-9]{43}\b|CLOJARS_[a-f0-9]{60}|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}|AKCp[A-Za-z0-9]{50,})",
        &[
            "npm whoami npm_abcdefghijklmnopqrstuvwxyz0123456789",
            "twine upload -x pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAw dist/*",
            "cargo login cioabcdefghijklmnopqrstuvwxyz012345",
        ],
    ),
    token(
        "a Google key",
        &["AIza", "ya29.", "GOCSPX-", "1//0"],
        r"\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{20,}|\bGOCSPX-[0-9A-Za-z_-]{20,}|\b1//0[0-9A-Za-z_-]{40,}",
        &["curl https://maps?x=AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "x ya29.abcdefghijklmnopqrstuvwxyz"],
    ),
    token(
        "an Azure key",
        &["Q~", "accountkey=", "sharedaccesskey=", "sig=", "+AMC", "+ASt"],
        r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}|(?i:\b(?:account|sharedaccess)key=)(?P<value>[A-Za-z0-9+/]{30,}=*)|[?&]sig=(?P<random>[A-Za-z0-9%+/=_-]{30,})|\b[A-Za-z0-9+/]{40,}\+(?:AMC|ASt)[A-Za-z0-9+/]{4,}=*",
        &[
            "az login --service-principal -x abc8Q~abcdefghijklmnopqrstuvwxyz01234567",
            "azcopy copy x 'https://a.blob.core.windows.net/c?sv=2022&sig=a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6'",
        ],
    ),
    token(
        "a key to a cloud",
        &[
            "dop_v1_",
            "doo_v1_",
            "dor_v1_",
            "HRKU-",
            "LTAI",
            "pscale_",
            "sbp_",
            "sb_secret_",
            "fo1_",
            "fm1",
            "fm2",
            "tskey-",
            "SWMTKN-",
            "nfp_",
            "v1.0-",
            "AQVN",
            "dapi",
            ".atlasv1.",
            "pul-",
            "hvs.",
            "hvb.",
            "hvr.",
            "dp.",
            "ops_",
            "A3-",
            "sha256~",
        ],
        r"\b(?:do[opr]_v1_[a-f0-9]{40,}|HRKU-[A-Za-z0-9_-]{30,}|LTAI[A-Za-z0-9]{16,24}\b|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,}|sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,}|fo1_[\w-]{40,}|fm[12][ar]?_[A-Za-z0-9+/]{60,}=*|tskey-[a-z]+-[A-Za-z0-9-]{16,}|SWMTKN-1-[a-z0-9]{40,}-[a-z0-9]{20,}|nfp_[A-Za-z0-9]{36}|v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}|AQVN[A-Za-z0-9_-]{35,38}|dapi[a-f0-9]{32}(?:-\d)?|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}|pul-[a-f0-9]{40}|hv[sbr]\.[A-Za-z0-9_-]{20,}|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{30,}|ops_eyJ[A-Za-z0-9_=-]{100,}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}|sha256~[A-Za-z0-9_-]{43})",
        &[
            "vault login hvs.abcdefghijklmnopqrstuvwx",
            "doctl auth init -x dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "databricks x dapi0123456789abcdef0123456789abcdef",
        ],
    ),
    token(
        "an access token",
        &[
            "lin_api_", "shpat_", "shpca_", "shppa_", "shpss_", "SG.", "SK", "key-", "secret_", "ntn_", "figd_",
            "glsa_", "glc_", "NRAK-", "CFPAT-", "ATATT3", "ATCTT3", "ATBB", "xkeysib-", "PMAK-", "sntry", "bkua_",
            "CCIPAT_", "EAA", "pat-", "dt0c01.", "squ_", "sqp_", "sqa_", "sk.eyJ", "sl.u.", "phx_", "phc_", "rdme_",
            "aio_", "pnu_", "ory_", "fio-u-", "tfp_", "waka_", "duffel_", "vcp_", "vck_", "vci_", "vca_",
        ],
        r"\b(?:lin_api_[A-Za-z0-9]{30,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|SK[a-f0-9]{32}\b|key-[a-f0-9]{32}\b|secret_[A-Za-z0-9]{43}\b|ntn_[A-Za-z0-9]{40,}|figd_[A-Za-z0-9_-]{30,}|glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8}|glc_[A-Za-z0-9+/]{32,}=*|NRAK-[A-Z0-9]{27}|CFPAT-[A-Za-z0-9_-]{40,}|AT[AC]TT3[A-Za-z0-9_=-]{50,}|ATBB[A-Za-z0-9]{28,}|xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|sntry[su]_[A-Za-z0-9_=+/.-]{40,}|bkua_[a-f0-9]{40}|CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}|EAA[A-Za-z0-9]{80,}|pat-(?:na|eu)\d-[a-f0-9-]{36}|dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}|sq[upa]_[a-f0-9]{40}|sk\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}|sl\.u\.[A-Za-z0-9_-]{100,}|ph[xc]_[A-Za-z0-9]{40,}|rdme_[a-z0-9]{70}|aio_[A-Za-z0-9]{28}\b|pnu_[A-Za-z0-9]{36}|ory_(?:at|rt|pat)_[A-Za-z0-9_.-]{30,}|fio-u-[A-Za-z0-9_=-]{64}|tfp_[A-Za-z0-9_.-]{59}|waka_[a-f0-9-]{36}|duffel_(?:test|live)_[A-Za-z0-9_=-]{43}|vc[pkia]_[A-Za-z0-9]{40,})",
        &[
            "sendgrid SG.abcdefghijklmnopqrst.abcdefghijklmnopqrstuvwx",
            "curl https://x?y=lin_api_abcdefghijklmnopqrstuvwxyz01234567",
            "twilio SK0123456789abcdef0123456789abcdef",
        ],
    ),
    token(
        "a signed token (JWT)",
        &["eyJ"],
        r"\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
        &[
            "curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl' https://api",
            "jwt decode eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
        ],
    ),
    token(
        "a WireGuard key",
        &["privatekey", "presharedkey", "wg "],
        r#"(?i)\b(?:private|preshared)key["']?\s*[=:]\s*["']?(?P<secret>[a-z0-9+/]{43}=)|\b(?P<random>[a-z0-9+/]{43}=)["']?\)?\s*\|\s*wg\s+pubkey"#,
        &[
            "printf 'PrivateKey = aB3dEfGh1JkLmN0pQrStUvWxYz0123456789aBcDeFg=' >> wg0.conf",
            "echo aB3dEfGh1JkLmN0pQr5tUvWxYz0123456789aBcDeFg= | wg pubkey",
        ],
    ),
    token(
        "the words of a wallet or an account",
        &["mnemonic", "phrase", "seed"],
        r#"(?i)\b(?:mnemonic|(?:seed|recovery|secret)[-_ ]?(?:phrase|words)|phrase|seed)["']?\s*[=:\s]\s*["']?(?P<secret>(?:[a-z]{3,8} ){11,23}[a-z]{3,8}\b)"#,
        &[
            "export MNEMONIC=\"one two six ten red blue cat dog sun moon sea sky\"",
            "wallet restore --seed-phrase 'one two six ten red blue cat dog sun moon sea sky'",
        ],
    ),
];
