#!/bin/sh
# Run what changed. Cron mails what this prints: nothing, unless somebody has to look.
cd /srv/bakery || exit 2
mkdir -p logs
log="logs/$(date +%Y-%m-%d).log"
find logs -name '*.log' -mtime +30 -delete

# No other lock is needed: of two runs in an environment one waits, and gives up with 6.
for pause in 60 600 0; do
    tidemill run --wait 30m >>"$log" 2>&1
    code=$?
    case $code in
        0 | 2 | 3 | 4 | 5 | 7) break ;; # it is done, or another try ends the same
    esac
    sleep "$pause"
done

if [ "$code" -ne 0 ]; then
    echo "tidemill run ended with $code:"
    tail -n 40 "$log"
fi
exit "$code"
