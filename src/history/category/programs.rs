//! What programs are for: the tables of [`category`](super), and the words that make one be for something else.

use super::Category::{
    self, DevopsKubernetes as Devops, FileManagement as Files, GitVersionControl as Git, LogAnalysis as Logs,
    NetworkOperations as Network, Other, SystemMonitoring as System, TextProcessing as Text,
};
use super::{Command, first_word, words};

/// What programs are for, in the order of their names, which are in small letters. Those of no other category are there too where they
/// do some work: in a line of several, what comes after them does not count.
#[rustfmt::skip]
const PROGRAMS: &[(&str, Category)] = &[
    ("7z", Files), ("ab", Network), ("ack", Text), ("acme.sh", Devops), ("acpi", System), ("act", Devops),
    ("adb", Other), ("ag", Text), ("amplify", Devops), ("amtool", Devops), ("angle", Logs), ("angle-grinder", Logs),
    ("ansible", Devops), ("ansible-console", Devops), ("ansible-doc", Devops), ("ansible-galaxy", Devops),
    ("ansible-inventory", Devops), ("ansible-lint", Devops), ("ansible-playbook", Devops), ("ansible-vault", Devops),
    ("apache2ctl", Devops), ("apachectl", Devops), ("apk", Other), ("apptainer", Devops), ("apt", Other),
    ("apt-cache", Other), ("apt-get", Other), ("aptitude", Other), ("ar", Files), ("arch", System), ("argo", Devops),
    ("argocd", Devops), ("aria2c", Network), ("arp", Network), ("arping", Network), ("aspell", Text), ("atop", System),
    ("attrib", Files), ("aulast", Logs), ("aureport", Logs), ("ausearch", Logs), ("autojump", Files),
    ("autossh", Network), ("avahi-browse", Network), ("awk", Text), ("aws", Devops), ("aws-vault", Devops),
    ("axel", Network), ("az", Devops), ("b2sum", Files), ("bandwhich", Network), ("base32", Text), ("base64", Text),
    ("basename", Files), ("basenc", Text), ("bat", Text), ("batcat", Text), ("blkid", System),
    ("bluetoothctl", Network), ("bmon", Network), ("borg", Files), ("bottom", System), ("boundary", Devops),
    ("bpftrace", System), ("bpytop", System), ("bq", Devops), ("brctl", Network), ("brew", Other), ("bridge", Network),
    ("broot", Files), ("bsdtar", Files), ("btm", System), ("btop", System), ("buildah", Devops), ("bun", Other),
    ("bundle", Other), ("bunzip2", Files), ("bzcat", Text), ("bzgrep", Text), ("bzip2", Files), ("bzr", Git),
    ("cabextract", Files), ("caddy", Devops), ("cap", Devops), ("capistrano", Devops), ("cargo", Other),
    ("caro", Other), ("cat", Text), ("cc", Other), ("cd", Files), ("cdk", Devops), ("cdktf", Devops),
    ("certbot", Devops), ("chalice", Devops), ("chattr", Files), ("chef", Devops), ("chgrp", Files),
    ("chkconfig", Devops), ("chmod", Files), ("choco", Other), ("choose", Text), ("chown", Files), ("chrt", System),
    ("cilium", Devops), ("circleci", Devops), ("cksum", Files), ("clang", Other), ("clang++", Other), ("cloc", Text),
    ("cloudflared", Network), ("cmake", Other), ("cmp", Files), ("code", Other), ("colima", Devops),
    ("colmena", Devops), ("colordiff", Text), ("column", Text), ("comm", Text), ("compose", Devops),
    ("composer", Other), ("compress-archive", Files), ("concourse", Devops), ("conda", Other), ("consul", Devops),
    ("convert", Other), ("copilot", Devops), ("copy", Files), ("copy-item", Files), ("cosign", Devops), ("cp", Files),
    ("cpio", Files), ("cpupower", System), ("crictl", Devops), ("croc", Network), ("csplit", Text), ("csvcut", Text),
    ("csvgrep", Text), ("csvjoin", Text), ("csvlook", Text), ("csvsort", Text), ("csvstat", Text), ("ctags", Text),
    ("ctr", Devops), ("curl", Network), ("curlie", Network), ("cut", Text), ("cvs", Git), ("darcs", Git),
    ("dasel", Text), ("dd", Files), ("del", Files), ("delta", Text), ("delv", Network), ("deno", Other),
    ("depmod", System), ("devspace", Devops), ("df", System), ("dhclient", Network), ("dhcpcd", Network),
    ("diff", Text), ("diff3", Text), ("difft", Text), ("dig", Network), ("dir", Files), ("dirname", Files),
    ("dirs", Files), ("diskutil", System), ("dive", Devops), ("dmesg", Logs), ("dmidecode", System), ("dnf", Other),
    ("docker", Devops), ("docker-compose", Devops), ("docker-machine", Devops), ("dockerd", Devops), ("doctl", Devops),
    ("dog", Network), ("doggo", Network), ("dos2unix", Text), ("dotnet", Other), ("dpkg", Other), ("dpkg-query", Other),
    ("draft", Devops), ("drill", Network), ("drone", Devops), ("dstat", System), ("du", System), ("dua", System),
    ("duf", System), ("dumpcap", Network), ("dust", System), ("eb", Devops), ("efibootmgr", System), ("egrep", Text),
    ("eksctl", Devops), ("emacs", Other), ("emerge", Other), ("enca", Text), ("env", Other), ("envsubst", Text),
    ("erase", Files), ("et", Network), ("etags", Text), ("etcdctl", Devops), ("ethtool", Network), ("evans", Network),
    ("exa", Files), ("expand", Text), ("expand-archive", Files), ("explorer", Files), ("eza", Files), ("fab", Devops),
    ("faillog", Logs), ("fallocate", Files), ("fast", Network), ("fastfetch", System), ("fd", Files), ("fdfind", Files),
    ("fdisk", System), ("fdupes", Files), ("ffmpeg", Other), ("fgrep", Text), ("file", Files), ("find", Files),
    ("findstr", Text), ("finger", System), ("firebase", Devops), ("firewall-cmd", Network), ("flatpak", Other),
    ("flux", Devops), ("fluxctl", Devops), ("fly", Devops), ("flyctl", Devops), ("fmt", Text), ("fold", Text),
    ("fossil", Git), ("fping", Network), ("free", System), ("ftp", Network), ("fuser", System), ("fx", Text),
    ("fzf", Text), ("g", Git), ("g++", Other), ("ga", Git), ("gaa", Git), ("gam", Git), ("gap", Git), ("gawk", Text),
    ("gb", Git), ("gba", Git), ("gbd", Git), ("gbl", Git), ("gc", Git), ("gca", Git), ("gcam", Git), ("gcb", Git),
    ("gcc", Other), ("gci", Files), ("gcloud", Devops), ("gcm", Git), ("gcmsg", Git), ("gco", Git), ("gcp", Git),
    ("gd", Git), ("gdca", Git), ("gdisk", System), ("gds", Git), ("gdu", System), ("gem", Other),
    ("get-childitem", Files), ("get-ciminstance", System), ("get-computerinfo", System), ("get-content", Text),
    ("get-eventlog", Logs), ("get-item", Files), ("get-netadapter", Network), ("get-netipaddress", Network),
    ("get-process", System), ("get-psdrive", System), ("get-service", System), ("get-volume", System),
    ("get-winevent", Logs), ("getconf", System), ("getent", System), ("getfacl", Files), ("gf", Git), ("gfa", Git),
    ("gg", Git), ("ggl", Git), ("ggp", Git), ("ggrep", Text), ("gh", Git), ("git", Git), ("git-lfs", Git),
    ("gitk", Git), ("gitlab-runner", Devops), ("gitui", Git), ("gl", Git), ("glab", Git), ("glances", System),
    ("glg", Git), ("glgg", Git), ("glo", Git), ("glog", Git), ("glow", Text), ("gm", Git), ("go", Other),
    ("goaccess", Logs), ("got", Git), ("gotop", System), ("gp", Git), ("gpf", Git), ("gpg", Other), ("gpr", Git),
    ("gpu", Git), ("gr", Git), ("gradle", Other), ("grb", Git), ("grbc", Git), ("grbi", Git), ("grep", Text),
    ("grh", Git), ("grhh", Git), ("gron", Text), ("groups", System), ("grpcurl", Network), ("grs", Git), ("grv", Git),
    ("gs", Git), ("gsed", Text), ("gsh", Git), ("gst", Git), ("gsta", Git), ("gstp", Git), ("gsutil", Devops),
    ("gsw", Git), ("gtar", Files), ("gunzip", Files), ("gzip", Files), ("hadolint", Devops), ("haproxy", Devops),
    ("hcloud", Devops), ("hd", Text), ("hdparm", System), ("head", Text), ("helm", Devops), ("helmfile", Devops),
    ("heroku", Devops), ("hexdump", Text), ("hexyl", Text), ("hey", Network), ("hg", Git), ("host", Network),
    ("hostname", System), ("hostnamectl", System), ("hping3", Network), ("htmlq", Text), ("htop", System),
    ("http", Network), ("httpd", Devops), ("httpie", Network), ("https", Network), ("httpstat", Network), ("hub", Git),
    ("hunspell", Text), ("hwclock", System), ("hwinfo", System), ("ibmcloud", Devops), ("icacls", Files),
    ("icdiff", Text), ("iconv", Text), ("id", System), ("ifconfig", Network), ("ifdown", Network), ("iftop", Network),
    ("ifup", Network), ("in2csv", Text), ("incus", Devops), ("initctl", Devops), ("insmod", System), ("install", Files),
    ("invoke-restmethod", Network), ("invoke-webrequest", Network), ("inxi", System), ("ioreg", System),
    ("iostat", System), ("iotop", System), ("ip", Network), ("ip6tables", Network), ("ipconfig", Network),
    ("ipcs", System), ("iperf", Network), ("iperf3", Network), ("iptables", Network), ("iptables-restore", Network),
    ("iptables-save", Network), ("iptraf", Network), ("iptraf-ng", Network), ("irm", Network), ("ispell", Text),
    ("istioctl", Devops), ("iw", Network), ("iwconfig", Network), ("iwr", Network), ("j", Files), ("java", Other),
    ("javac", Other), ("jdupes", Files), ("jenkins", Devops), ("jj", Git), ("jless", Text), ("jo", Text),
    ("join", Text), ("journalctl", Logs), ("jq", Text), ("k", Devops), ("k3d", Devops), ("k3s", Devops),
    ("k6", Network), ("k9s", Devops), ("kdig", Network), ("kill", System), ("killall", System), ("kind", Devops),
    ("knife", Devops), ("kops", Devops), ("krew", Devops), ("kubeadm", Devops), ("kubecolor", Devops),
    ("kubeconform", Devops), ("kubectl", Devops), ("kubectx", Devops), ("kubelet", Devops), ("kubens", Devops),
    ("kubeseal", Devops), ("kubespray", Devops), ("kubetail", Logs), ("kubeval", Devops), ("kustomize", Devops),
    ("l", Files), ("la", Files), ("last", Logs), ("lastb", Logs), ("lastcomm", Logs), ("lastlog", System),
    ("launchctl", Devops), ("lazydocker", Devops), ("lazygit", Git), ("less", Text), ("lf", Files), ("lftp", Network),
    ("limactl", Devops), ("link", Files), ("linkerd", Devops), ("linode-cli", Devops), ("ll", Files), ("lla", Files),
    ("ln", Files), ("lnav", Logs), ("localectl", System), ("locate", Files), ("log", Other), ("logcli", Logs),
    ("logger", Logs), ("loginctl", System), ("logread", Logs), ("logrotate", Logs), ("look", Text), ("ls", Files),
    ("lsattr", Files), ("lsb_release", System), ("lsblk", System), ("lscpu", System), ("lsd", Files), ("lshw", System),
    ("lsipc", System), ("lslocks", System), ("lsmem", System), ("lsmod", System), ("lsns", System), ("lsof", System),
    ("lspci", System), ("lsscsi", System), ("lsusb", System), ("ltrace", System), ("lxc", Devops), ("lxd", Devops),
    ("lz4", Files), ("lzma", Files), ("m4", Text), ("magic-wormhole", Network), ("magick", Other), ("make", Other),
    ("mamba", Other), ("man", Other), ("masscan", Network), ("mawk", Text), ("mc", Files), ("md", Files),
    ("md5", Files), ("md5sum", Files), ("mdcat", Text), ("mdns-scan", Network), ("measure-object", Text),
    ("meson", Other), ("mii-tool", Network), ("minikube", Devops), ("mkdir", Files), ("mkfifo", Files),
    ("mkisofs", Files), ("mklink", Files), ("mktemp", Files), ("mlr", Text), ("modinfo", System), ("modprobe", System),
    ("mongo", Other), ("mongosh", Other), ("more", Text), ("mosh", Network), ("most", Text), ("mount", Files),
    ("move", Files), ("move-item", Files), ("mpstat", System), ("mtr", Network), ("multipass", Devops),
    ("multitail", Logs), ("mv", Files), ("mvn", Other), ("mysql", Other), ("mysqldump", Other), ("namei", Files),
    ("nano", Other), ("nawk", Text), ("nbtstat", Network), ("nc", Network), ("ncat", Network), ("ncdu", System),
    ("ncftp", Network), ("neofetch", System), ("nerdctl", Devops), ("netcat", Network), ("nethogs", Network),
    ("netlify", Devops), ("netsh", Network), ("netstat", Network), ("networkctl", Network), ("networksetup", Network),
    ("new-item", Files), ("nfsstat", Network), ("nft", Network), ("nftables", Network), ("nginx", Devops),
    ("ngrep", Network), ("ngrok", Network), ("ninja", Other), ("nix", Other), ("nix-env", Other), ("nix-shell", Other),
    ("nixops", Devops), ("nl", Text), ("nload", Network), ("nmap", Network), ("nmcli", Network), ("nmon", System),
    ("nnn", Files), ("node", Other), ("nomad", Devops), ("now", Devops), ("nping", Network), ("npm", Other),
    ("nproc", System), ("npx", Other), ("nslookup", Network), ("numactl", System), ("numastat", System),
    ("numfmt", Text), ("nvidia-smi", System), ("nvim", Other), ("nvme", System), ("nvtop", System), ("oc", Devops),
    ("oci", Devops), ("od", Text), ("okteto", Devops), ("open", Files), ("openconnect", Network), ("openssl", Other),
    ("openvpn", Network), ("orb", Devops), ("out-file", Text), ("p4", Git), ("packer", Devops), ("pacman", Other),
    ("pandoc", Text), ("parted", System), ("paru", Other), ("pass", Other), ("paste", Text), ("patch", Text),
    ("pathping", Network), ("pbcopy", Files), ("pbpaste", Files), ("pcregrep", Text), ("peco", Text), ("pee", Text),
    ("perf", System), ("perl", Other), ("pg_dump", Other), ("pg_restore", Other), ("pgrep", System), ("php", Other),
    ("pidof", System), ("pidstat", System), ("pigz", Files), ("pijul", Git), ("ping", Network), ("ping6", Network),
    ("pip", Other), ("pip3", Other), ("pipx", Other), ("pkill", System), ("pm2", Devops), ("pmap", System),
    ("pmset", System), ("pnpm", Other), ("podman", Devops), ("podman-compose", Devops), ("poetry", Other),
    ("popd", Files), ("port", Other), ("powertop", System), ("pr", Text), ("printenv", Other), ("printf", Text),
    ("prlimit", System), ("procs", System), ("promtool", Devops), ("proxychains", Network), ("proxychains4", Network),
    ("ps", System), ("psql", Other), ("pstree", System), ("ptx", Text), ("pulumi", Devops), ("pup", Text),
    ("puppet", Devops), ("pushd", Files), ("pwd", Files), ("pwdx", System), ("python", Other), ("python2", Other),
    ("python3", Other), ("q", Text), ("qemu-img", Devops), ("qemu-system-x86_64", Devops), ("qsv", Text),
    ("quota", System), ("radeontop", System), ("railway", Devops), ("ranger", Files), ("rar", Files),
    ("rc-service", Devops), ("rc-update", Devops), ("rclone", Network), ("rcp", Network), ("rd", Files),
    ("rdfind", Files), ("rdiff", Files), ("readlink", Files), ("realpath", Files), ("recode", Text),
    ("redis-cli", Other), ("remove-item", Files), ("ren", Files), ("rename", Files), ("rename-item", Files),
    ("render", Devops), ("renice", System), ("repo", Git), ("resolvconf", Network), ("resolve-dnsname", Network),
    ("resolvectl", Network), ("restic", Files), ("rev", Text), ("rfkill", Network), ("rg", Text), ("rga", Text),
    ("rlogin", Network), ("rm", Files), ("rmdir", Files), ("rmmod", System), ("rmtrash", Files), ("robocopy", Files),
    ("rocm-smi", System), ("route", Network), ("rpm", Other), ("rsh", Network), ("rsnapshot", Files),
    ("rsync", Network), ("ruby", Other), ("rustc", Other), ("rustup", Other), ("s3cmd", Devops), ("sad", Text),
    ("salt", Devops), ("salt-call", Devops), ("salt-ssh", Devops), ("sam", Devops), ("saml2aws", Devops),
    ("sar", System), ("scc", Text), ("scoop", Other), ("scp", Network), ("screen", Other), ("screenfetch", System),
    ("scutil", Network), ("scw", Devops), ("sd", Text), ("sdiff", Text), ("sed", Text), ("select-string", Text),
    ("sensors", System), ("serverless", Devops), ("service", Devops), ("set-content", Text), ("set-location", Files),
    ("setfacl", Files), ("sfdisk", System), ("sftp", Network), ("sha1sum", Files), ("sha224sum", Files),
    ("sha256sum", Files), ("sha384sum", Files), ("sha512sum", Files), ("shasum", Files), ("showmount", Network),
    ("shred", Files), ("shuf", Text), ("siege", Network), ("singularity", Devops), ("sk", Text), ("skaffold", Devops),
    ("skopeo", Devops), ("slabtop", System), ("sls", Devops), ("smartctl", System), ("smbclient", Network),
    ("snap", Other), ("snmpget", Network), ("snmpwalk", Network), ("socat", Network), ("sort", Text),
    ("speedtest", Network), ("speedtest-cli", Network), ("split", Text), ("sponge", Text), ("sqlite3", Other),
    ("ss", Network), ("ssh", Network), ("ssh-add", Network), ("ssh-agent", Network), ("ssh-copy-id", Network),
    ("ssh-keygen", Network), ("ssh-keyscan", Network), ("sshfs", Network), ("sshpass", Network), ("sshuttle", Network),
    ("start", Files), ("stat", Files), ("stern", Logs), ("stg", Git), ("stop-process", System), ("stow", Files),
    ("stress", System), ("stress-ng", System), ("strings", Text), ("sum", Files), ("supervisorctl", Devops),
    ("surge", Devops), ("sv", Devops), ("svn", Git), ("svnadmin", Git), ("sw_vers", System), ("swapoff", System),
    ("swapon", System), ("sysctl", System), ("sysdiagnose", System), ("system_profiler", System), ("systemctl", Devops),
    ("systemd-analyze", System), ("systemd-cgtop", System), ("systemd-resolve", Network), ("systeminfo", System),
    ("tac", Text), ("tail", Text), ("tailscale", Network), ("tailspin", Logs), ("takeown", Files), ("tar", Files),
    ("taskkill", System), ("tasklist", System), ("taskset", System), ("tc", Network), ("tcpdump", Network),
    ("tea", Git), ("tee", Text), ("telepresence", Devops), ("telnet", Network), ("termshark", Network),
    ("terraform", Devops), ("terraformer", Devops), ("terragrunt", Devops), ("test-connection", Network),
    ("test-netconnection", Network), ("test-path", Files), ("textql", Text), ("tf", Devops), ("tflint", Devops),
    ("tfsec", Devops), ("tftp", Network), ("tidy", Text), ("tig", Git), ("tilt", Devops), ("timedatectl", System),
    ("tldr", Other), ("tload", System), ("tmux", Other), ("tofu", Devops), ("tokei", Text), ("top", System),
    ("tor", Network), ("torify", Network), ("torsocks", Network), ("tortoisehg", Git), ("touch", Files), ("tr", Text),
    ("tracepath", Network), ("traceroute", Network), ("traceroute6", Network), ("tracert", Network),
    ("traefik", Devops), ("trash", Files), ("trash-empty", Files), ("trash-put", Files), ("tree", Files),
    ("trivy", Devops), ("truncate", Files), ("tshark", Network), ("tsort", Text), ("turbostat", System),
    ("uconv", Text), ("udevadm", System), ("ufw", Network), ("ugrep", Text), ("ulimit", System), ("umask", Files),
    ("umount", Files), ("uname", System), ("unar", Files), ("unexpand", Text), ("uniq", Text), ("unix2dos", Text),
    ("unlink", Files), ("unlzma", Files), ("unrar", Files), ("unxz", Files), ("unzip", Files), ("unzstd", Files),
    ("update-rc.d", Devops), ("upower", System), ("uptime", System), ("users", System), ("utmpdump", Logs),
    ("uudecode", Text), ("uuencode", Text), ("uv", Other), ("vagrant", Devops), ("vault", Devops),
    ("vboxmanage", Devops), ("vd", Text), ("vegeta", Network), ("velero", Devops), ("vercel", Devops), ("vi", Other),
    ("vidir", Files), ("vifm", Files), ("vim", Other), ("vimdiff", Text), ("vipe", Text), ("virsh", Devops),
    ("virt-install", Devops), ("visidata", Text), ("vm_stat", System), ("vmstat", System), ("vnstat", Network),
    ("vtop", System), ("vultr-cli", Devops), ("w", System), ("watch", System), ("waypoint", Devops), ("wc", Text),
    ("wdiff", Text), ("websocat", Network), ("wevtutil", Logs), ("wg", Network), ("wg-quick", Network),
    ("wget", Network), ("who", System), ("whoami", System), ("whois", Network), ("winget", Other),
    ("wireshark", Network), ("wl-copy", Files), ("wl-paste", Files), ("wmic", System), ("wormhole", Network),
    ("wpa_cli", Network), ("wpa_supplicant", Network), ("wrangler", Devops), ("wrk", Network), ("wscat", Network),
    ("xbps-install", Other), ("xclip", Files), ("xcopy", Files), ("xdg-open", Files), ("xh", Network),
    ("xmllint", Text), ("xmlstarlet", Text), ("xq", Text), ("xsel", Files), ("xsv", Text), ("xxd", Text), ("xz", Files),
    ("xzcat", Text), ("xzgrep", Text), ("yarn", Other), ("yay", Other), ("yazi", Files), ("youtube-dl", Network),
    ("yq", Text), ("yt-dlp", Network), ("yum", Other), ("z", Files), ("zcat", Text), ("zenith", System),
    ("zerotier-cli", Network), ("zgrep", Text), ("zip", Files), ("zipinfo", Files), ("zless", Text), ("zmap", Network),
    ("zmore", Text), ("zoxide", Files), ("zstd", Files), ("zstdcat", Text), ("zstdgrep", Text), ("zypper", Other),
];

/// Subcommands that are for something else than their program, in the order of the names; an empty one stands for none.
#[rustfmt::skip]
const SUBCOMMANDS: &[(&str, &str, Category)] = &[
    ("adb", "logcat", Logs), ("aws", "logs", Logs), ("docker", "logs", Logs), ("docker", "stats", System),
    ("docker", "top", System), ("docker-compose", "logs", Logs), ("docker-compose", "top", System), ("fly", "logs", Logs),
    ("flyctl", "logs", Logs), ("gcloud", "logging", Logs), ("heroku", "logs", Logs), ("ip", "monitor", System),
    ("kubectl", "logs", Logs), ("kubectl", "top", System), ("log", "show", Logs), ("log", "stream", Logs),
    ("minikube", "logs", Logs), ("nomad", "logs", Logs), ("oc", "logs", Logs), ("pm2", "logs", Logs), ("podman", "logs", Logs),
    ("podman", "stats", System), ("podman", "top", System), ("systemctl", "", System), ("systemctl", "is-active", System),
    ("systemctl", "is-enabled", System), ("systemctl", "is-failed", System), ("systemctl", "list-sockets", System),
    ("systemctl", "list-timers", System), ("systemctl", "list-unit-files", System), ("systemctl", "list-units", System),
    ("systemctl", "show", System), ("systemctl", "status", System), ("vercel", "logs", Logs),
];

/// Programs that show text, and analyse logs where that is one.
const SHOW: &[&str] = &[
    "awk",
    "bat",
    "batcat",
    "cat",
    "cut",
    "egrep",
    "fgrep",
    "gawk",
    "get-content",
    "grep",
    "head",
    "jq",
    "less",
    "more",
    "rg",
    "sed",
    "select-string",
    "sort",
    "tac",
    "tail",
    "wc",
    "zcat",
    "zgrep",
    "zless",
];

/// Programs that name files for another one.
const CHOOSE: &[&str] = &["fd", "fdfind", "find", "locate", "ls"];

/// What a program is for; none where the tables do not know it.
pub(super) fn of_command(Command { program, rest, .. }: Command<'_>) -> Option<Category> {
    let lower;
    let program = if program.bytes().any(|byte| byte.is_ascii_uppercase()) {
        lower = program.to_ascii_lowercase();
        lower.as_str()
    } else {
        program
    };
    let (_, category) = find(PROGRAMS, |(name, _)| name, program)?;
    if SHOW.contains(&program) {
        // Whoever waits for what is added to a file reads a log.
        let follows = || program == "tail" && words(rest).any(|word| is_short_option(word, &['f', 'F']));
        if words(rest).any(is_log) || follows() {
            return Some(Logs);
        }
        if words(rest).any(is_about_the_machine) {
            return Some(System);
        }
    }
    if SUBCOMMANDS.iter().any(|(name, ..)| *name == program) {
        let mut rest = rest;
        if first_word(program, rest) == Some("compose") {
            rest = rest.split_once("compose").map_or(rest, |(_, after)| after);
        }
        let subcommand = first_word(program, rest).unwrap_or_default();
        if let Ok(at) = SUBCOMMANDS.binary_search_by_key(&(program, subcommand), |(name, sub, _)| (*name, *sub)) {
            return SUBCOMMANDS.get(at).map(|(.., category)| *category);
        }
    }
    Some(match program {
        "rsync" if !words(rest).any(is_elsewhere) => Files,
        "lsof" if words(rest).any(|word| word.starts_with("-i")) => Network,
        "service" if words(rest).last() == Some("status") => System,
        "perl" if words(rest).any(|word| is_short_option(word, &['i', 'n', 'p'])) => Text,
        "find" => words(rest)
            .skip_while(|word| !matches!(*word, "-exec" | "-execdir" | "-ok"))
            .nth(1)
            .and_then(|runs| find(PROGRAMS, |(name, _)| name, runs))
            .map_or(Files, |(_, category)| if *category == Text { Text } else { Files }),
        _ => *category,
    })
}

/// What a program that only [chooses](CHOOSE) files chooses them for.
pub(super) fn chosen_for<'a>(program: &str, mut others: impl Iterator<Item = Command<'a>>) -> Option<Category> {
    if !CHOOSE.contains(&program) {
        return None;
    }
    others.find(|other| other.by_xargs).and_then(of_command)
}

/// The entry of a name in a table in the order of the names.
pub(super) fn find<'a, T>(table: &'a [T], name_of: impl Fn(&T) -> &str, name: &str) -> Option<&'a T> {
    let at = table.binary_search_by(|entry| name_of(entry).cmp(name)).ok()?;
    table.get(at)
}

/// Whether a word is a single dash with one of these letters among others.
fn is_short_option(word: &str, letters: &[char]) -> bool {
    word.strip_prefix('-').is_some_and(|option| !option.starts_with('-') && option.contains(letters))
}

/// Whether a word is the path of a log.
fn is_log(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'']);
    let is_folder = |part: &str| part == "log" || part == "logs";
    word.ends_with(".log")
        || word.contains(".log.")
        || word.ends_with("/syslog")
        || word.contains('/') && word.split('/').any(is_folder)
}

/// Whether a word is a file in which the system tells of itself.
fn is_about_the_machine(word: &str) -> bool {
    ["/proc/", "/sys/", "/etc/os-release"].iter().any(|place| word.starts_with(place))
}

/// Whether a word is a place on another machine.
fn is_elsewhere(word: &str) -> bool {
    word.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains(['/', '='])) || word.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(PROGRAMS.is_sorted_by(|a, b| a.0 < b.0), "{:?}", PROGRAMS.windows(2).find(|w| w[0].0 >= w[1].0));
        assert!(SUBCOMMANDS.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
        assert!(PROGRAMS.iter().all(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_uppercase())));
        for program in SUBCOMMANDS.iter().map(|(program, ..)| program).chain(SHOW).chain(CHOOSE) {
            assert!(PROGRAMS.iter().any(|(name, _)| name == program), "{program}");
        }
    }
}
