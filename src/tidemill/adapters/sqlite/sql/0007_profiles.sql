-- The run profile that an environment was created with, by its name in the project's settings; '' is none.
ALTER TABLE environments ADD COLUMN profile TEXT NOT NULL DEFAULT '';
