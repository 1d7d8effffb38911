#!/usr/bin/env bash
# Make the model that ships, from nothing: an hour and a half on two cores, 17 GB of disk.
#
#     scripts/make_model.sh [FOLDER]       FOLDER holds tiles and the run; default runs
set -euo pipefail

folder=${1:-runs}
edge-af-train render "$folder/data" --split train --optics mixed --tiles 78080 --seed 2
edge-af-train render "$folder/data" --split validation --optics mixed --tiles 3000 --seed 2
edge-af-train fit "$folder/spectral-mobilenet" --epochs 11 --seed 1 \
    --data "$folder/data/train-mixed-2.csv" \
    --validation "$folder/data/validation-mixed-2.csv"
edge-af-convert "$folder/spectral-mobilenet" -o edge_af/models/spectral-mobilenet.tflite \
    --report "$folder/spectral-mobilenet/report.html"
