-- The profile that an environment was made with, by its name in the project's settings; '' is none.
ALTER TABLE environments ADD COLUMN profile TEXT NOT NULL DEFAULT '';
