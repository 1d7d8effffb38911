#!/usr/bin/env bash
# Make the model that ships, from nothing: two and a half hours on two cores, 45 GB of disk.
#
#     scripts/make_model.sh [FOLDER]       FOLDER holds tiles and runs; default runs
#
# It learns twice, each time from specimens that it has not seen. (For the model that ships, the
# tiles of the first time had been rendered before sparse fields got more planes than others.)
set -euo pipefail

folder=${1:-runs}

render() { # SEED TILES
    edge-af-train render "$folder/data" --split train --optics mixed --tiles "$2" --seed "$1"
    edge-af-train render "$folder/data" --split validation --optics mixed --tiles 3000 --seed "$1"
}

fit() { # RUN SEED OPTION...
    edge-af-train fit "$folder/$1" "${@:3}" --recipe edge-af \
        --data "$folder/data/train-mixed-$2.csv" \
        --validation "$folder/data/validation-mixed-$2.csv"
}

render 2 78080
fit first 2 --epochs 11 --seed 1
render 3 120000
fit spectral-mobilenet 3 --from "$folder/first" --epochs 6 --learning-rate 1.5e-3 --seed 3
edge-af-convert "$folder/spectral-mobilenet" -o edge_af/models/spectral-mobilenet.tflite \
    --report "$folder/spectral-mobilenet/report.html"
