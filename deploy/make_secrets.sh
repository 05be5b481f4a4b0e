#!/bin/sh
# Makes the secret files docker compose hands to the services; what exists stays. Usage: deploy/make_secrets.sh [FOLDER]
# The folder is closed to others. The files in it are readable, since a container reads them as nobody in particular.
set -eu
folder=${1:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"

fresh() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # NAME VALUE: written unless it is there
    [ -e "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"
    chmod 444 "$folder/$1"
}

keep postgres_password "$(fresh)"
keep dipeo_store_url "postgresql://dipeo:$(cat "$folder/postgres_password")@postgres:5432/dipeo"
keep dipeo_store_master_key "$(fresh)" # encrypts stored provider keys: keep a copy elsewhere
keep dipeo_grpc_secret "$(fresh)"
keep dipeo_gateway_token "$(fresh)"
keep mcp_api_keys "$(fresh)"
for provider in openai anthropic gemini; do
    keep "${provider}_api_key" "" # put the key of a provider in here; an empty file is none
done
echo "secrets are in $folder; clients say what is in dipeo_gateway_token (DIPEO_API_TOKEN) or, of MCP, in mcp_api_keys"
